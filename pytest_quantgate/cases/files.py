"""Reads the files of a slice: text only, bounded, and never from outside the slice file's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.problems import quoted

if TYPE_CHECKING:
    from pytest_quantgate.cases.problems import Problems

SLICE_SUFFIX: Final = ".slice.yaml"

MAX_BYTES = 64 * 1024 * 1024
"""Largest file that is read; 10,000 ordinary cases take about 3 MB."""


def read_text(path: Path, problems: Problems) -> str | None:
    """Read a UTF-8 file, with or without a byte order mark.

    Returns:
        Its text; None when it cannot be read, which is noted.
    """
    data = read_bytes(path, problems)
    return None if data is None else decoded(data, problems)


def read_bytes(path: Path, problems: Problems) -> bytes | None:
    """Read a regular file that is not too large.

    Returns:
        What it holds; None when it cannot be read, which is noted.
    """
    try:
        if path.exists() and not path.is_file():
            problems.add(1, "not a regular file")  # a pipe or a device might never end
            return None
        if path.stat().st_size > MAX_BYTES:
            problems.add(1, f"larger than {MAX_BYTES // 2**20} MiB: split it into several slices")
            return None
        return path.read_bytes()
    except FileNotFoundError:
        problems.add(1, "no such file")
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        problems.add(1, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    return None


def decoded(data: bytes, problems: Problems) -> str | None:
    """The text that UTF-8 bytes stand for, with or without a byte order mark; None, noted, when they are none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add(line, f"not UTF-8: byte 0x{data[error.start]:02x} ({error.reason})")
        return None


def beside(folder: Path, relative: str, line: int, problems: Problems) -> Path | None:
    """The file that a slice file names, which must lie in its folder or below.

    Args:
        folder: The slice file's folder.
        relative: What the slice file says.
        line: Where it says so.
        problems: Where a path that leads elsewhere, also through a link, is noted.
    """
    if not relative.isprintable():
        problems.add(line, f"{quoted(relative)} is not a path")
        return None
    path = folder / relative
    plain = not Path(relative).is_absolute() and ".." not in Path(relative).parts
    try:
        inside = plain and path.resolve().is_relative_to(folder.resolve())
        missing = inside and not path.exists()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        problems.add(line, f"{quoted(relative)} cannot be followed: {error}")
        return None
    if not inside:
        problems.add(line, f"{quoted(relative)} leaves the slice file's folder: put the file beside it")
        return None
    if missing:
        problems.add(line, f"{quoted(relative)}: no such file beside the slice file")
        return None
    return path
