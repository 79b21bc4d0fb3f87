"""Relative paths, seen from the folder of the file that names them."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_quantgate.variants.embedded import EMBEDDED


def path_from(folder: Path, text: str) -> str:
    """What a path in a file of that folder is called here; one that is absolute, or begins with ``~``, is that."""
    return text if text.startswith("~") else os.path.normpath(folder / text)


def model_from(folder: Path, text: str) -> str:
    """The same of a model; an alias stays as it is, and so does a hub id that is no path in that folder.

    Args:
        folder: That of the file.
        text: As ``source.resolve_model`` takes it.
    """
    if text in EMBEDDED:
        return text
    path = path_from(folder, text)
    there = os.path.exists(path)  # noqa: PTH110  (Path.exists raises where a text is too long for a name)
    if not (there or looks_like_a_path(text)):
        return text
    return path if there or looks_like_a_path(path) else f"./{path}"  # without the dot it would be a hub id


def looks_like_a_path(text: str) -> bool:
    """Whether a text can only mean a path, there or not: it is no hub id."""
    return text.startswith((".", "/", "~")) or text.lower().endswith(".gguf") or "\\" in text
