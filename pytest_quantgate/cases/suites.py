"""The suites that ship inside the package: ``pytest_quantgate/suites/NAME/*.slice.yaml``."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pytest_quantgate.cases.files import SLICE_SUFFIX
from pytest_quantgate.errors import UsageError, nearest


def suite_names() -> tuple[str, ...]:
    """The names of the built-in suites, sorted."""
    return tuple(sorted({path.parent.name for path in _root().glob(f"*/*{SLICE_SUFFIX}")}))


def suite_files(name: str) -> tuple[Path, ...]:
    """The slice files of a built-in suite, sorted by name.

    Raises:
        UsageError: There is no such suite.
    """
    names = suite_names()
    if name not in names:
        raise UsageError(f"unknown suite {name!r}", hint=nearest(name, names))
    return tuple(sorted((_root() / name).glob(f"*{SLICE_SUFFIX}")))


def _root() -> Path:
    # Wheels are unpacked into a folder, and so is an editable checkout; a zipped package has no suites.
    return Path(str(resources.files("pytest_quantgate") / "suites"))
