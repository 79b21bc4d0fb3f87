"""Relative paths, seen from the folder of the file that names them."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_quantgate.variants.embedded import EMBEDDED


def path_from(folder: Path, text: str) -> str:
    """What a path in a file of that folder is called here; one that is absolute, or begins with ``~``, is that."""
    return text if text.startswith("~") else os.path.normpath(folder / text)


def model_from(folder: Path, text: str) -> str:
    """The same of a model; an alias stays as it is, and so does a hub id that is no path in that folder."""
    there = os.path.exists(folder / text)  # noqa: PTH110  (Path.exists raises where a text is too long for a name)
    is_path = text.startswith(".") or text.lower().endswith(".gguf") or there
    return path_from(folder, text) if is_path and text not in EMBEDDED else text
