"""The files of a run's report and views: written whole or not at all, and never taken for an older run's."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal

from pytest_quantgate.errors import UsageError
from pytest_quantgate.files import write_bytes
from pytest_quantgate.report.model import RunReport

Kind = Literal["JSON", "HTML", "Markdown"]
"""What a run is written as."""

_BEGINNINGS: Final[dict[Kind, bytes]] = {
    "JSON": b'{\n "base_command": [',
    "HTML": b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    b'<meta name="generator" content="pytest-quantgate">',
    "Markdown": b"## quantgate: ",
}
"""What every report of a kind begins with, and hardly any other file."""

_HINT: Final = "name a file in a folder that you can write to"


def check(path: Path, kind: Kind) -> None:
    """Refuse a place where no report can be written; nothing is made or removed.

    Args:
        path: Where the report is to be written.
        kind: What it will be; a file that is there may be empty or an older one of that kind, and nothing else.

    Raises:
        UsageError: No report can be written there; told now rather than after everything was judged.
    """
    with _told(path):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(path.stat().st_mode):  # it would be replaced by an ordinary file
                raise UsageError("no report can be written there: not a regular file", where=str(path), hint=_HINT)
            if not _is_older(path, kind):
                what = f"no report can be written there: that file is no {kind} report of pytest-quantgate"
                raise UsageError(what, where=str(path), hint="name another file, or delete that one first")
        folder = next(each for each in path.absolute().parents if each.exists())  # the others can be made in it
        with TemporaryFile(dir=folder):  # permissions alone do not tell: a file system may be read-only
            pass


def clear(path: Path, kind: Kind) -> None:
    """Remove the report of an earlier run, so that nobody takes it for this one's, and make its folder.

    Args:
        path: Where the report is to be written.
        kind: What it will be.

    Raises:
        UsageError: As for ``check``.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    check(path, kind)
    with _told(path):
        path.unlink(missing_ok=True)


def _is_older(path: Path, kind: Kind) -> bool:
    """Whether a file is an older report, or empty: an option whose value was forgotten takes the next word for one."""
    beginning = _BEGINNINGS[kind]
    with path.open("rb") as file:
        found = file.read(len(beginning))
    return found in (b"", beginning)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Has a fault of the file system say whose it is.

    Raises:
        UsageError: There is one.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"no report can be written there: {reason}", where=str(path), hint=_HINT) from None


def write(report: RunReport, path: Path) -> None:
    """Write the report whole or not at all.

    Raises:
        QuantgateError: It could not be written.
    """
    write_text(report.to_json(), path)


def write_text(text: str, path: Path) -> None:
    """Write a view of a run whole or not at all: what was there before stays until the new one is complete.

    Raises:
        QuantgateError: It could not be written.
    """
    # half of a surrogate pair, which no file can hold, is made visible
    write_bytes(path, text.encode(errors="backslashreplace"), None, str(path), what="report")


def load(path: Path) -> RunReport:
    """Read a report back.

    Raises:
        QuantgateError: The file cannot be read, or is no report.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a null character in the name
        writers = "--quant-report-json, `quantgate gate --report-json` or `quantgate diagnose --json`"
        hint = f"name a file that can be read and that {writers} wrote"
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot be read: {reason}", where=str(path), hint=hint) from None
    return RunReport.from_json(text, where=str(path))
