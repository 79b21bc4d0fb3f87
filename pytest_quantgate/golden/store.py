"""The files that goldens are kept in: where they lie, how they are read and written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pytest_quantgate.cases.files import MAX_BYTES, decoded, read_bytes
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.errors import GoldenError, QuantgateError
from pytest_quantgate.files import write_bytes
from pytest_quantgate.golden.encoding import encode
from pytest_quantgate.golden.model import Golden
from pytest_quantgate.golden.reading import GoldenReader

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "golden"
SUFFIX: Final = ".jsonl"

LONGEST: Final = 100
"""Bytes of a name; longer ones end in a digest, so that every file system takes them with their suffixes."""

_DIGEST_DIGITS: Final = 16
_LABELS: Final = "labels"  # what people said of answers lies beside the goldens, in labels.jsonl


def golden_path(folder: Path, slice_name: str, variant: str, *, suite: str | None = None) -> Path:
    """Where the golden of a slice and variant is kept: ``golden/<slice>/<variant>.jsonl``.

    Args:
        folder: The folder of the slice file; for a slice of a packaged suite, pytest's rootdir.
        slice_name: Name of the slice.
        variant: Canonical spec of the variant.
        suite: Name of the packaged suite, which becomes a folder above that of the slice.
    """
    above = folder / FOLDER if suite is None else folder / FOLDER / _named(suite)
    return above / _named(slice_name) / _file_name(variant)


def load(path: Path, *, shown: str | None = None) -> Golden | None:
    """Read a golden.

    Args:
        path: The file.
        shown: How messages name it; its path when None.

    Returns:
        The golden; None when there is no such file.

    Raises:
        GoldenError: It cannot be read; with every problem as FILE:LINE.
    """
    problems = Problems(str(path) if shown is None else shown)
    refuse_links_away(path, problems)
    if not is_anything_at(path):
        return None
    data = read_bytes(path, problems)
    text = None if data is None else decoded(data, problems)
    reader = GoldenReader(problems)
    if text is not None:
        reader.read(text)
    if not problems:
        _refuse_another_place(path, reader, problems)
    if problems or data is None:
        raise GoldenError(problems.found())
    entries = dict(sorted(reader.entries.items()))
    return Golden(reader.slice, reader.variant, path, entries, hashlib.sha256(data).hexdigest())


def write(golden: Golden, *, shown: str | None = None) -> None:
    """Write a golden whole or not at all; one without entries is removed.

    Args:
        golden: The golden; its ``digest`` says what the file must still hold.
        shown: How messages name it; its path when None.

    Raises:
        QuantgateError: It could not be written, or the file changed since it was read; then it is as it was.
    """
    data = encode(golden).encode() if golden.entries else None
    where = str(golden.path) if shown is None else shown
    refuse_links_away(golden.path, Problems(where))
    if data is not None and len(data) > MAX_BYTES:
        what = f"the golden would be larger than {MAX_BYTES // 2**20} MiB, which no run would read"
        raise QuantgateError(what, where=where, hint="Split the slice into several.")
    write_bytes(golden.path, data, golden.digest, where)


def refuse_links_away(path: Path, problems: Problems) -> None:
    """Refuse a file, there or not, that a link would put outside of the folder that holds ``golden``.

    Args:
        path: Of a golden, or of what lies beside it.
        problems: Of that file.

    Raises:
        GoldenError: A link leads away.
    """
    # a suite has a folder of its own between that of its slice and ``golden``
    above = path.parents[2 if path.parents[1].name == FOLDER else 3]
    try:
        away = not path.resolve().is_relative_to(above.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, before Python 3.13; no path: opening it tells
        return
    if away:
        problems.add(1, f"a link leads out of the folder that holds {FOLDER!r}: put what it leads to in its place")
        raise GoldenError(problems.found())


def is_anything_at(path: Path) -> bool:
    """Whether there is a file to read; one whose folder cannot be searched is, and reading tells why not.

    Args:
        path: Of a golden, or of what lies beside it.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def _named(text: str) -> str:
    """A name that every file system takes, different for different texts; no hidden one, and none that leads away."""
    name = quote(text, safe="+=,-_.", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > LONGEST:
        digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:_DIGEST_DIGITS]
        name = f"{name[: LONGEST - _DIGEST_DIGITS - 1]}~{digest}"
    return name or "%"


def _file_name(variant: str) -> str:
    name = _named(variant)
    return f"{'%6Cabels' if name == _LABELS else name}{SUFFIX}"


def _refuse_another_place(path: Path, reader: GoldenReader, problems: Problems) -> None:
    """A copied or moved file must not speak for another slice or variant."""
    wanted = _named(reader.slice), _file_name(reader.variant)
    if (path.parent.name, path.name) != wanted:
        problems.add(
            1,
            f"this is the golden of slice {quoted(reader.slice)} and variant {quoted(reader.variant)}, which belongs to"
            f" {'/'.join((FOLDER, *wanted))}: move it there, or remove it and anchor anew",
        )
