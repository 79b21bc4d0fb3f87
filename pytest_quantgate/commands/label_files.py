"""Where the labels of a slice are kept, for commands: beside its goldens, and never outside the folder they run in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantgate.cases.suites import suite_files, suite_names
from pytest_quantgate.errors import UsageError
from pytest_quantgate.golden.labels import labels_path
from pytest_quantgate.golden.store import golden_path

if TYPE_CHECKING:
    from pytest_quantgate.report.records import SliceRecord


def labels_of_slice(path: str, name: str) -> Path:
    """The file of labels of a slice; of a packaged suite it lies below the folder where the command runs.

    Args:
        path: The slice file as the user named it; of a packaged suite it may be ``SUITE/FILE``.
        name: Name of the slice.
    """
    suite = _suite(path)
    folder = Path(path).parent if suite is None else Path()
    return labels_path(golden_path(folder, name, "labels", suite=suite))


def labels_to_keep(record: SliceRecord) -> Path:
    """The same for a slice of a stored run, which anybody may have written.

    Raises:
        UsageError: Its slice file is not below the folder where the command runs.
    """
    if _suite(record.path) is None:
        try:
            path = Path(record.path)
            # a link may lie elsewhere than what it leads to, and its labels are kept beside the link
            places = (path.resolve(), path.parent.resolve())
            here = path.is_file() and all(each.is_relative_to(Path.cwd()) for each in places)
        except (OSError, RuntimeError, ValueError):  # no path, or links in a circle
            here = False
        if not here:
            what = f"the slice file of {record.name!r} is not below this folder, so its labels are not kept"
            hint = "run the command where the run was made, in a folder above its slice files"
            raise UsageError(what, where=record.path, hint=hint)
    return labels_of_slice(record.path, record.name)


def _suite(path: str) -> str | None:
    """The packaged suite that a slice file belongs to."""
    try:
        file = Path(path).resolve()
        there = file.exists()
    except (OSError, RuntimeError, ValueError):  # no path, or links in a circle
        return None
    for suite in suite_names():
        packaged = suite_files(suite)
        if file in packaged or (not there and path in [f"{suite}/{each.name}" for each in packaged]):
            return suite
    return None
