"""Paths as pytest and its users write them."""

from __future__ import annotations

import os
from pathlib import Path


def is_there(path: str | Path) -> bool:
    """Whether a file or folder exists; a text that cannot be a file's name is none."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises where a text is too long for a name)


def seen_from(folder: Path, path: Path) -> str:
    """A path as messages name it: relative to the folder where pytest was started."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return str(path)


def absolute(path: Path) -> Path:
    """A path without ``.`` and ``..``, its links left as they are: so pytest names the files that it collects."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (Path.absolute keeps "..")
