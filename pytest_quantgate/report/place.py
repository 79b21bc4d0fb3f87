"""Where a run was made, said by its report from where that lies: no path of a machine stands in it for that.

A folder may be moved with the report in it, and the report holds the same bytes on any machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantgate.report.model import RunReport


def seen_from(report: Path, folder: Path) -> str:
    """What a report says of the folder that its run was made in: the way there from its own, links followed.

    Args:
        report: The report's file, which need not be there yet.
        folder: The folder.
    """
    return os.path.relpath(os.path.realpath(folder), os.path.realpath(report.parent))


def folder_of(report: RunReport, file: Path) -> Path:
    """The folder that a run was made in, from which the relative paths in its report are seen.

    A report may have been moved away from there. So it is the current folder where that has a slice file of the run,
    and the folder that the report says has none; and of a report that says nothing.

    Args:
        report: The run.
        file: Its file.

    Raises:
        UsageError: There is no such folder.
    """
    here = Path.cwd()
    if report.folder is None:
        return here
    said = Path(os.path.normpath(Path(os.path.realpath(file)).parent / report.folder))
    slices = [each.path for each in report.slices if not Path(each.path).is_absolute()]
    there = _is_folder(said)
    if there and (not slices or _has_one(said, slices)):
        return said
    if _has_one(here, slices):
        return here
    if there:
        return said
    raise UsageError(
        f"the folder that the run was made in, and from which its paths are seen, is not there: {said}",
        where=str(file),
        hint="put the report back where it was written, or start the command in the folder that its slice files are in",
    )


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path) and os.access(path, os.X_OK)  # noqa: PTH112  (Path.is_dir raises where a text is too long)


def _has_one(folder: Path, files: list[str]) -> bool:
    return any(os.path.isfile(folder / each) for each in files)  # noqa: PTH113  (as above)
