"""What a test does with each block of a page, by its language. A block without a rule fails its page."""

from __future__ import annotations

import configparser
import csv
import doctest
import io
import json
import re
import runpy
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import indent
from typing import Final

import yaml

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.errors import SliceError
from pytest_quantgate.plugin.settings import SETTINGS
from tests.docs.blocks import Block
from tests.docs.ci_yaml import check_ci, is_ci
from tests.docs.shell import Shell

ROOT: Final = Path(__file__).parents[2]
OUTPUT: Final = "output"
_STATUS: Final = re.compile(r'status="([\d ]+)"')
# What a page's slice may lack here: a data set that nobody put on this machine, or a file that its commands write.
_NOT_HERE: Final = ("no such file beside", "hub", "not on this machine", "not installed", "cannot be found")


class Page:
    """A page that is worked through from top to bottom, in a project of its own.

    Args:
        blocks: Its blocks.
        shell: Runs its commands.
    """

    def __init__(self, blocks: Iterable[Block], shell: Shell) -> None:
        self._blocks = list(blocks)
        self._shell = shell
        self._printed = ""
        self._rules: dict[str, Callable[[Block], None]] = {
            "sh": self._sh,
            "text": self._text,
            "yaml": self._yaml,
            "python": self._python,
            "pycon": self._pycon,
            "json": self._json,
            "jsonl": self._jsonl,
            "csv": self._csv,
            "ini": self._ini,
            "toml": self._toml,
        }

    def work_through(self) -> None:
        """Do with every block what its rule says."""
        for block in reversed(self._blocks):  # a file may stand below what reads it; the first version goes first
            _write(block)
        for block in self._blocks:
            assert block.language in self._rules, f"{block.place}: no rule for a block marked {block.language!r}"
            _write(block)
            self._rules[block.language](block)

    def _sh(self, block: Block) -> None:
        """Commands: shell.py has a rule for each."""
        named = _STATUS.search(block.info)
        statuses = frozenset(map(int, named[1].split())) if named else frozenset({0, 1})
        self._printed = self._shell.run(block, statuses)

    def _text(self, block: Block) -> None:
        """What a screen shows: under the title ``output`` it was printed by the commands above; never a command."""
        assert not re.search(r"^\s*(\$ )?(pytest|quantgate) ", block.text, re.MULTILINE), f"{block.place}: a command"
        if block.title == OUTPUT:
            printed, at = " ".join(self._printed.split()), 0  # a narrower terminal breaks lines elsewhere
            for line in (" ".join(line.split()) for line in block.text.splitlines() if line.strip() != "..."):
                at = printed.find(line, at)
                assert at >= 0, f"{block.place}: not printed, or not in this order: {line}\n{self._printed[-6_000:]}"
                at += len(line)

    def _yaml(self, block: Block) -> None:
        """A slice file or a part of one, which must load; or what CI reads, see ci_yaml.py."""
        if is_ci(block.text, block.title):
            check_ci(yaml.safe_load(block.text), block.place)
            return
        path = Path(block.title or "block.slice.yaml")
        if block.title is None:
            path.write_text(_whole_slice(block), encoding="utf-8")
        _load(path, block)

    def _python(self, block: Block) -> None:
        """Run, in this process; with a file's name as title it is that file, and compiles."""
        if block.title is None:
            script = Path("block.py")
            script.write_text(block.text, encoding="utf-8")
            runpy.run_path(str(script), run_name="__main__")
        else:
            compile(block.text, block.title, "exec")

    @staticmethod
    def _pycon(block: Block) -> None:
        """A session: Python answers what the page says."""
        session = doctest.DocTestParser().get_doctest(block.text, {}, block.page.name, None, block.line)
        assert session.examples, block.place
        assert doctest.DocTestRunner().run(session).failed == 0, block.place

    @staticmethod
    def _json(block: Block) -> None:
        """One JSON value."""
        json.loads(block.text)

    @staticmethod
    def _jsonl(block: Block) -> None:
        """A JSON object a line."""
        assert all(isinstance(json.loads(line), dict) for line in block.text.splitlines()), block.place

    @staticmethod
    def _csv(block: Block) -> None:
        """Rows that are all as wide as the first."""
        assert len({len(row) for row in csv.reader(io.StringIO(block.text))}) == 1, block.place

    @staticmethod
    def _ini(block: Block) -> None:
        """An ini file whose keys of this plugin are known."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(block.text)
        _check_keys(parser["pytest"], block)

    @staticmethod
    def _toml(block: Block) -> None:
        """A pyproject.toml, or the pytest part of one, whose keys of this plugin are known."""
        tool = tomllib.loads(block.text)["tool"]["pytest"]
        _check_keys(tool.get("ini_options", tool), block)


def _write(block: Block) -> None:
    """Make the file that a block is."""
    if block.title in {None, OUTPUT}:
        return
    assert block.title is not None
    in_repository = ROOT / block.title
    if block.title.startswith("examples/"):  # shown on the page as it is in the repository
        assert in_repository.read_text(encoding="utf-8") == block.text, f"{block.place}: not what {block.title} holds"
    path = Path(block.title)
    assert not path.is_absolute(), block.place
    assert ".." not in path.parts, block.place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def _whole_slice(block: Block) -> str:
    """A slice file around the part of one that a page shows."""
    first, case = block.text.partition(":")[0], "cases:\n  - id: one\n    prompt: p\n    cluster: c\n"
    around = {
        "slice": block.text,
        "checks": f"slice: block\n{case}{indent(block.text, '    ')}",
        "gate": f"slice: block\n{block.text}\n{case}    checks: [json]\n",
        "defaults": f"slice: block\n{block.text}\n{case}    checks: [json]\n",
        **dict.fromkeys(("cases", "generate", "dataset"), f"slice: block\n{block.text}"),
    }
    assert first in around, f"{block.place}: neither a slice, nor a part of one, nor CI"
    return around[first]


def _load(path: Path, block: Block) -> None:
    try:
        assert load_slice(path, builtin_registry()).cases, block.place
    except SliceError as error:
        told = [str(problem) for problem in error.problems]
        elsewhere = [any(words in each.lower() for words in _NOT_HERE) for each in told]
        assert all(elsewhere), f"{block.place}: {told}"


def _check_keys(keys: Iterable[str], block: Block) -> None:
    known = {setting.key for setting in SETTINGS.values() if setting.ini}
    unknown = {key for key in keys if key.startswith("quant_")} - known
    assert not unknown, f"{block.place}: no ini keys: {unknown}"
