"""Which slices a command is about: files, folders, and suites that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantgate.cases.load import SLICE_SUFFIX, load_slices
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_quantgate.cases.load import CheckCatalog
    from pytest_quantgate.cases.model import Slice


def slices_of(paths: Sequence[Path], suites: Iterable[str], catalog: CheckCatalog) -> tuple[Slice, ...]:
    """Load every slice that is named or lies below a folder that is named; each file once.

    Args:
        paths: Slice files and folders.
        suites: Names of packaged suites.
        catalog: Knows the checks that the files may ask for.

    Raises:
        SliceError: With every problem of every file.
        UsageError: Nothing is named; a path does not exist or holds no slice file; there is no such suite.
    """
    packaged = {file: f"{suite}/{file.name}" for suite in suites for file in suite_files(suite)}
    files = [file for path in paths for file in slice_files(path)]
    if not files and not packaged:
        raise UsageError("no slice is named", hint="name slice files or folders, or --suite NAME, such as core")
    return load_slices(dict.fromkeys([*files, *packaged]), catalog, shown=packaged)


def slice_files(path: Path) -> Iterator[Path]:
    """The slice file that a path names, or all below the folder that it names, sorted.

    Raises:
        UsageError: It does not exist or holds no slice file.
    """
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, a folder that may not be entered
        reason = f"cannot be read: {error.strerror or error}"
        raise UsageError(reason, where=str(path), hint="name a slice file, or a folder that holds some") from None
    if is_folder:
        found = sorted(path.rglob(f"*{SLICE_SUFFIX}"))
        if not found:
            raise UsageError("no slice file below this folder", where=str(path), hint=f"they end in {SLICE_SUFFIX}")
        yield from found
    elif not is_there:
        raise UsageError("no such file or folder", where=str(path), hint="`quantgate init` writes a first slice")
    elif not path.name.endswith(SLICE_SUFFIX):
        # It might well be valid, and pytest would still never run it.
        raise UsageError("not a slice file", where=str(path), hint=f"pytest collects files that end in {SLICE_SUFFIX}")
    else:
        yield path
