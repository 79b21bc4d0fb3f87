"""GGUF files, converted once to plain safetensors in the user's cache folder.

The conversion is one of the folders that ``made`` makes once; its manifest also says how the file stored its tensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pytest_quantgate.errors import ModelError, QuantgateError
from pytest_quantgate.files import write_bytes
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.variants.digests import file_digest
from pytest_quantgate.variants.gguf_types import GgufTypes, read_types
from pytest_quantgate.variants.made import MANIFEST, Recipe, is_whole, made_folder

Convert = Callable[[Path, Path], None]
"""Writes a checkpoint made from the first path, a GGUF file, into the second, an empty folder."""

_VERSION: Final = 2  # raised when a conversion writes something else than before
_KIND: Final = f"models-{_VERSION}"  # the folder below the cache folder: another version's are left to it
_TYPES: Final = "types"  # how the source stored its tensors; conversions of the first releases do not say
_LAST: Final = "calibration"  # of what they say, what came last
_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what damage raises
_MAGIC: Final = b"GGUF"
_WAIT_SECONDS: Final = 1800


def converted_folder(source: Path, note: Callable[[str], None], convert: Convert | None = None) -> Path:
    """The checkpoint folder of a GGUF file, converting it when that was not done yet.

    Any number of processes may ask at once: one converts, the others wait for it.

    Args:
        source: An existing GGUF file.
        note: Told when a conversion starts, is waited for, or is repaired.
        convert: Does the conversion; by default through transformers.

    Raises:
        ModelError: The file is not GGUF or cannot be converted, or the cache folder cannot be written.
    """

    def make(folder: Path) -> dict[str, Any]:
        note(f"{source.name}: converting to safetensors; this happens once and takes about a minute")
        (convert or _convert_with_transformers)(source, folder)
        with suppress(ModelError):  # a conversion needs more of the file than its headers, and was made
            return {_TYPES: read_types(source).to_json()}
        return {}

    folder = made_folder(_recipe(source), note, make)
    _add_types(source, folder)
    return folder


def folder_if_converted(source: Path) -> Path | None:
    """The checkpoint folder of a GGUF file that was converted before; None when it was not, or is damaged.

    Raises:
        ModelError: The file is not GGUF.
        UsageError: The cache folder cannot be told.
    """
    recipe = _recipe(source)
    return recipe.folder if is_whole(recipe) else None


def types_in(folder: Path) -> GgufTypes | None:
    """How the GGUF file that a folder was converted from stored its tensors; None for any other folder.

    Only conversions made here are believed: a stranger's checkpoint could say of its plain weights what it likes.

    Raises:
        ModelError: The conversion does not say.
    """
    if not (folder / MANIFEST).is_file() or folder.resolve().parent != (cache_folder() / _KIND).resolve():
        return None
    try:
        return GgufTypes.from_json(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))[_TYPES])
    except _UNREADABLE as error:
        raise ModelError(
            "this conversion of a GGUF file does not say how its tensors were stored",
            where=str(folder),
            hint="name the GGUF file itself, in a cache folder that can be written",
        ) from error


def _add_types(source: Path, folder: Path) -> None:
    """Completes the manifest of a conversion whose types are missing, not all that is said now, or damaged."""
    with suppress(*_UNREADABLE, QuantgateError):  # without them it is as good as it was
        path = folder / MANIFEST
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not _has_types(manifest):
            told = {**manifest, _TYPES: read_types(source).to_json()}
            write_bytes(path, json.dumps(told, indent=2, sort_keys=True).encode(), None, str(path))


def _has_types(manifest: Mapping[str, Any]) -> bool:
    with suppress(*_UNREADABLE):
        GgufTypes.from_json(manifest[_TYPES])
        return _LAST in manifest[_TYPES]
    return False


def _recipe(source: Path) -> Recipe:
    try:
        with source.open("rb") as file:
            magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise ModelError("not a GGUF file", where=str(source), hint="download or copy it again")
        digest = file_digest(source)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(source)) from error
    return Recipe(
        what="the converted model",
        kind=_KIND,
        digest=digest,
        version=_VERSION,
        wait_seconds=_WAIT_SECONDS,
        where=str(source),
    )


def _convert_with_transformers(source: Path, folder: Path) -> None:
    from pytest_quantgate.variants.convert import convert_gguf  # imports torch

    convert_gguf(source, folder)
