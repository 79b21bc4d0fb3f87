"""The commands of a `sh` block: what each is, and what a test does with it. A command without a rule fails its page."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from pytest_quantgate import cli
from tests.docs.blocks import Block
from tests.faulty import FaultyServer, chat

ROOT: Final = Path(__file__).parents[2]
_MARKS: Final = frozenset({"&", ">", "|", ";", "&&", "||", "<", ">>", "(", ")"})
_COMPLETED: Final = frozenset({0, 1})
_SERVERS: Final = ("transformers", "vllm", "sglang", "llama-server", "text-generation-launcher")
_SERVED: Final = re.compile(r"http://127\.0\.0\.1:\d+/v1")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        words: The program and its arguments.
        environment: What stands before it as ``NAME=value``.
        output: The file that its output goes to; None for the screen.
        input: The file that it reads; None for nothing.
        background: Whether it goes on in the background.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    output: str | None = None
    input: str | None = None
    background: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command: its exit status, None where it was looked at and not run, and what it printed."""

    status: int | None
    printed: str = ""


def commands_of(text: str) -> Iterator[Command]:
    """The commands of a block, one a line; a backslash goes on in the next line."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
        background = words[-1:] == ["&"]
        words = words[:-1] if background else words
        files = {}
        while words[-2:-1] in (["<"], [">"]):
            files[words[-2]] = words[-1]
            words = words[:-2]
        odd = _MARKS.intersection(words)
        if odd:
            msg = f"the runner knows no {' '.join(sorted(odd))}: {line}"
            raise AssertionError(msg)
        named = words[: _first_word(words)]
        if words:
            environment = dict(word.split("=", 1) for word in named)
            yield Command(tuple(words[len(named) :]), environment, files.get(">"), files.get("<"), background)


def _first_word(words: list[str]) -> int:
    """Where the program stands, behind assignments."""
    return next((at for at, word in enumerate(words) if not re.match(r"\w+=", word)), 0)


class Shell:
    """Runs the commands of one page in its project.

    Args:
        folder: The project.
        monkeypatch: Undoes what commands do to this process.
        model: The folder of the model that stands for any other.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
        self._folder = folder
        self._patch = monkeypatch
        self._model = model
        self._rules: dict[str, Callable[[list[str]], Done]] = {
            "pytest": self._pytest,
            "quantgate": self._quantgate,
            "python": self._python,
            "pip": self._pip,
            "make": self._make,
            "git": self._git,
            "cd": self._cd,
            "mkdir": self._mkdir,
            "export": self._export,
            "source": self._source,
            **dict.fromkeys(_SERVERS, self._server),
        }

    def run(self, block: Block, statuses: frozenset[int] = _COMPLETED) -> str:
        """Run every command of a block; gives what they printed.

        Args:
            block: A `sh` block.
            statuses: The exit statuses that are right.
        """
        printed = []
        for command in commands_of(block.text):
            program = Path(command.words[0]).name
            assert program in self._rules, f"{block.place}: no rule says what to do with: {program}"
            with self._patch.context() as patch:
                for name, value in command.environment.items():
                    patch.setenv(name, value)
                if command.input is not None:
                    patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(command.input).read_bytes()), "utf-8"))
                done = self._rules[program](list(command.words[1:]))
            shown = f"{block.place}: {shlex.join(command.words)}"
            assert done.status is None or done.status in statuses, f"{shown}\nexit {done.status}\n{done.printed}"
            if command.output is None:
                printed.append(done.printed)
            elif done.status is not None:
                Path(command.output).write_text(done.printed, encoding="utf-8")
        return "\n".join(printed)

    def _pytest(self, words: list[str]) -> Done:
        """Run, in this process. What would take minutes or a terminal is told to do less, see `told`."""
        printed = io.StringIO()
        modules, path = set(sys.modules), list(sys.path)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), _stand_in(words) as asked:
            status = int(pytest.main(told(asked, self._model)))
        sys.path[:] = path
        for name in set(sys.modules) - modules:  # the project's own are another page's too; torch's must stay
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(self._folder):
                del sys.modules[name]
        if "review" in words:
            # it asks at a terminal, and here it can only say that there is none
            assert status == pytest.ExitCode.USAGE_ERROR, printed.getvalue()
            assert "terminal" in printed.getvalue(), printed.getvalue()
            return Done(None, printed.getvalue())
        return Done(status, printed.getvalue())

    @staticmethod
    def _quantgate(words: list[str]) -> Done:
        """Run, in this process.

        The rule evidence is told to take the few cases of these projects; a diagnosis looks at the candidate that
        breaks least, and at no repair for long.
        """
        more = ["--allow-underpowered"] if words[0] == "gate" and "evidence" in words else []
        more += ["--minutes", "0.001", "--candidate", "nf4"] if words[0] == "diagnose" else []
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                status = cli.main([*words, *more])
            except SystemExit as left:
                status = left.code if isinstance(left.code, int) else 1
        assert not (words[0] == "validate" and status), printed.getvalue()
        return Done(status, printed.getvalue())

    def _python(self, words: list[str]) -> Done:
        """Run, when the page has the script.

        A script of the repository, which may take hours, must be there.
        """
        if words[0] == "-m":
            assert words[1] == "pytest_quantgate.cli" or find_spec(words[1]), f"no module {words[1]}"
            return Done(None)
        if not Path(words[0]).is_file():
            assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"
            return Done(None)
        printed = io.StringIO()
        self._patch.setattr(sys, "argv", words)
        with contextlib.redirect_stdout(printed):
            runpy.run_path(words[0], run_name="__main__")
        return Done(0, printed.getvalue())

    @staticmethod
    def _pip(words: list[str]) -> Done:
        """Not run: every package that it names is this one, or pinned by this project at the version that is named."""
        pinned = {
            line.partition("==")[0].lower(): line
            for file in ("constraints-vllm.txt", "constraints.txt")
            for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
        }
        assert words[0] == "install", words
        for word in (word for word in words[1:] if not word.startswith("-")):
            name = word.partition("==")[0].lower()
            assert name in {*pinned, "pytest-quantgate", "."}, f"pip would install an unknown {word}"
            assert "==" not in word or word.lower() == pinned[name].lower(), f"{word} is not what is pinned"
        return Done(None)

    @staticmethod
    def _make(words: list[str]) -> Done:
        """Not run: the Makefile has the targets."""
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(f"\n{word}:" in makefile for word in words), words
        return Done(None)

    @staticmethod
    def _git(words: list[str]) -> Done:
        """Not run: what it would add is there."""
        if words[0] == "add":
            assert all(Path(word).exists() for word in words[1:]), words
        else:
            assert words[0] in {"diff", "commit", "clone", "switch", "checkout"}, words
        return Done(None)

    def _cd(self, words: list[str]) -> Done:
        """Done, inside the project."""
        (folder,) = words
        assert Path(folder).resolve().is_relative_to(self._folder), folder
        self._patch.chdir(folder)
        return Done(0)

    @staticmethod
    def _mkdir(words: list[str]) -> Done:
        """Done."""
        for folder in words:
            if folder != "-p":
                Path(folder).mkdir(parents=True, exist_ok=True)
        return Done(0)

    def _export(self, words: list[str]) -> Done:
        """Done, for the rest of the page."""
        for word in words:
            name, _, value = word.partition("=")
            self._patch.setenv(name, value)
        return Done(0)

    @staticmethod
    def _source(words: list[str]) -> Done:
        """Not run: it is how the environment that the tests run in is entered."""
        assert words == [".venv/bin/activate"], words
        return Done(None)

    @staticmethod
    def _server(words: list[str]) -> Done:
        """Not run: tests/integration/test_served.py serves a model, with transformers."""
        assert words, "a server of what?"
        return Done(None)


@contextlib.contextmanager
def _stand_in(words: list[str]) -> Iterator[list[str]]:
    """The words, with a server of this test for each that a page speaks of."""
    if not any(_SERVED.search(word) for word in words):
        yield words
        return
    with FaultyServer(lambda _: chat("It is 12.")) as server:
        yield [_SERVED.sub(server.url, word) for word in words]


def told(words: list[str], model: Path) -> list[str]:
    """The words for pytest, with what keeps a test of the docs short and off the network.

    - A diagnosis searches for repairs for minutes, so its run is checked by --quant-dry-run.
    - A suite asks hundreds of cases, so it is checked by --quant-dry-run.
    - The rule evidence refuses the few cases of these projects, so it is told to take them.
    - Processes of xdist take seconds to start, so there are none; tests/integration runs them.
    - A model, and a device, is the tiny one on the CPU.
    """
    changed = list(words)
    if any(word.startswith(("--quant-suite", "--quant-diagnose")) for word in words):
        changed.append("--quant-dry-run")
    if "evidence" in words or "--quant-rule=evidence" in words:
        changed.append("--quant-allow-underpowered")
    for option, value in {"-n": "0", "--quant-model": str(model), "--quant-device": "cpu"}.items():
        if option in changed:
            changed[changed.index(option) + 1] = value
    return changed


def environment_of_a_reader(patch: pytest.MonkeyPatch) -> None:
    """What the surrounding pytest and CI were told does not concern a page's commands, and no page asks the hub."""
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "GITHUB_"))] + ["CI"]:
        patch.delenv(name, raising=False)
    patch.setenv("COLUMNS", "100")
    for module in ("huggingface_hub.constants", "datasets.config"):  # no test asks the hub
        patch.setattr(f"{module}.HF_HUB_OFFLINE", True)
