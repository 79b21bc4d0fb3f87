"""What CI reads, as pages and examples show it: it parses, and its commands have options that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pytest_quantgate import cli
from pytest_quantgate.plugin.settings import SETTINGS
from tests.docs.shell import commands_of

_NAMES: Final = (".github/", ".gitlab-ci.yml", "action.yml", "examples/ci/")
_EXPRESSION: Final = re.compile(r"\$\{\{.*?\}\}")
_OF_PYTEST: Final = frozenset({"--junitxml", "-q", "-k", "-m", "-n", "-x", "--lf", "-p", "-ra", "--co"})


def is_ci(text: str, title: str | None) -> bool:
    """Whether YAML is for CI: by the file's name, or as a list of steps."""
    return text.startswith(("- run:", "- uses:")) if title is None else title.startswith(_NAMES)


def scripts_of(document: Any) -> Iterator[str]:
    """The shell text of every step: ``run`` of GitHub, ``script`` of GitLab."""
    if isinstance(document, list):
        for each in document:
            yield from scripts_of(each)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in {"run", "script", "before_script", "after_script"}:
                yield value if isinstance(value, str) else "\n".join(value)
            else:
                yield from scripts_of(value)


def check_ci(document: Any, place: str) -> None:
    """Hold the commands of every step against the real options.

    Raises:
        AssertionError: A script puts an expression into shell text where a value could become a command, or calls
            pytest or quantgate with an option that they do not have.
    """
    scripts = list(scripts_of(document))
    assert scripts, f"{place}: no step runs anything"
    for script in scripts:
        assert not _EXPRESSION.search(script), f"{place}: an expression inside shell text: {script}"
        for line in script.replace("\\\n", " ").splitlines():
            if re.match(r"\s*(pytest|quantgate)\b", line):
                _check_command(line, place)


def _check_command(line: str, place: str) -> None:
    simple = re.split(r"\|\||&&|;", line)[0]
    for command in commands_of(simple):
        words = list(command.words)
        if words[0] == "quantgate":
            try:
                cli._parser().parse_args(words[1:])  # noqa: SLF001  (the parser itself is what a page is held against)
            except SystemExit:
                msg = f"{place}: quantgate does not take: {line}"
                raise AssertionError(msg) from None
            continue
        named = {word.partition("=")[0] for word in words[1:] if word.startswith("-")}
        known = {setting.option for setting in SETTINGS.values()} | _OF_PYTEST
        assert named <= known, f"{place}: pytest has no {named - known}: {line}"
