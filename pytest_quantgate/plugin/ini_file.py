"""pytest's ini file: whether pytest found it, and where in it a key stands."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.plugin.files import is_there, seen_from

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_COMMENT: Final = re.compile(r"\s#.*")


def refuse_hidden(config: pytest.Config) -> None:
    """Refuse a path behind a space that made pytest miss its ini file.

    pytest looks for its ini file before it knows a plugin's options, takes their values for test paths, and
    then looks beside those: ``--quant-model /models/x`` would run without the project's settings.

    Raises:
        pytest.UsageError: With the spelling that works.
    """
    here = config.invocation_params.dir
    ini = next((file for folder in (here, *here.parents) for file in _ini_files(folder)), None)
    if ini is None or config.inipath == ini or config.option.inifilename:
        return
    words = [str(argument) for argument in config.invocation_params.args]
    for option, value in pairwise(words):
        if option.startswith("--quant-") and "=" not in option and is_there(here / value):
            msg = f"{option}: pytest takes a path behind a space for tests and misses {ini}: write {option}={value}"
            raise pytest.UsageError(msg)


def place_of(config: pytest.Config, key: str, value: str = "") -> str:
    """Where an ini key is set, for an error: ``pytest.ini:3: quant_alpha``, or ``-o quant_alpha``.

    Args:
        config: The session's configuration.
        key: The key.
        value: One of several values that it has, each of which may have a line of its own; empty for the key's line.
    """
    if _overridden(config, key) or config.inipath is None:
        return f"-o {key}"
    line = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=:]""")
    own = re.compile(rf"""(^|[\s"'=:\[,]){re.escape(value)}($|[\s"',\]])""")
    written = config.inipath.read_text(encoding="utf-8", errors="replace").splitlines()
    number = next((number for number, text in enumerate(written, start=1) if line.match(text)), 1)
    if value:
        below = enumerate(written[number - 1 :], start=number)
        number = next((each for each, text in below if own.search(text)), number)
    return f"{seen_from(config.invocation_params.dir, config.inipath)}:{number}: {key}"


def refuse_comment(config: pytest.Config, key: str, value: object) -> None:
    """Refuse a value that goes on with a comment: behind a value an ini file has none, unlike TOML.

    Args:
        config: The session's configuration.
        key: The key.
        value: What pytest read: a text, several, or something else; or what it says of a text that it could not read.

    Raises:
        pytest.UsageError: With the comment, and where it stands.
    """
    if _overridden(config, key) or config.inipath is None or config.inipath.suffix == ".toml":
        return
    texts: list[object] = value if isinstance(value, list) else [value]
    for text in texts:
        if isinstance(text, str) and (comment := _COMMENT.search(text)) is not None:
            msg = (
                f"{place_of(config, key, text)}: an ini file has no comments behind values: "
                f"put {comment[0].strip()!r} on a line of its own"
            )
            raise pytest.UsageError(msg)


def folder_of(config: pytest.Config, key: str) -> Path | None:
    """The folder that relative paths of an ini key are seen from: that of the file; None where pytest was started."""
    if _overridden(config, key) or config.inipath is None or config.inipath.parent == config.invocation_params.dir:
        return None
    return config.inipath.parent


def _overridden(config: pytest.Config, key: str) -> bool:
    """Whether ``-o`` says another value."""
    return any(each.startswith(f"{key}=") for each in config.option.override_ini or ())


def _ini_files(folder: Path) -> Iterator[Path]:
    for name in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"):
        if (folder / name).is_file():
            yield folder / name
    for name, table in (("pyproject.toml", "[tool.pytest"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]")):
        file = folder / name
        if file.is_file() and table in file.read_text(encoding="utf-8", errors="replace"):
            yield file
