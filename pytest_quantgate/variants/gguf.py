"""GGUF files, converted once to plain safetensors in the user's cache folder.

A conversion is built under a file lock in a folder beside its final place, and moved there whole. Its
manifest holds the digests of the source and of every file, so that a conversion that was damaged later is
noticed, set aside and made again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_quantgate.errors import ModelError, QuantgateError
from pytest_quantgate.files import write_bytes
from pytest_quantgate.paths import CACHE_VARIABLE, cache_folder
from pytest_quantgate.variants.digests import file_digest, remember_digest
from pytest_quantgate.variants.gguf_types import GgufTypes, read_types

Convert = Callable[[Path, Path], None]
"""Writes a checkpoint made from the first path, a GGUF file, into the second, an empty folder."""

MANIFEST = "quantgate-manifest.json"
_MANIFEST_VERSION = 1  # raised when a conversion writes something else than before
_TYPES = "types"  # how the source stored its tensors; conversions of the first releases do not say
_MAGIC = b"GGUF"
_WAIT_SECONDS = 1800


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
    digest = _checked_digest(source)
    folder = cache_folder() / "models" / digest[:16]
    if _is_whole(folder, digest):
        _add_types(source, folder)
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder, note):
            if not _is_whole(folder, digest):  # nobody was faster
                _set_aside(folder, note)
                note(f"{source.name}: converting to safetensors; this happens once and takes about a minute")
                _build(source, digest, folder, convert or _convert_with_transformers)
    except OSError as error:
        raise ModelError(
            f"the converted model cannot be written to {folder}: {error.strerror or error}",
            where=str(source),
            hint=f"free some space, or set {CACHE_VARIABLE} to a folder that can be written",
        ) from error
    return folder


def folder_if_converted(source: Path) -> Path | None:
    """The checkpoint folder of a GGUF file that was converted before; None when it was not, or is damaged.

    Raises:
        ModelError: The file is not GGUF.
        UsageError: The cache folder cannot be told.
    """
    digest = _checked_digest(source)
    folder = cache_folder() / "models" / digest[:16]
    return folder if _is_whole(folder, digest) else None


def types_in(folder: Path) -> GgufTypes | None:
    """How the GGUF file that a folder was converted from stored its tensors; None for any other folder.

    Raises:
        ModelError: The conversion does not say.
    """
    if not (folder / MANIFEST).is_file():
        return None
    try:
        return GgufTypes.from_json(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))[_TYPES])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            "this conversion of a GGUF file does not say how its tensors were stored",
            where=str(folder),
            hint="name the GGUF file itself, in a cache folder that can be written",
        ) from error


def _add_types(source: Path, folder: Path) -> None:
    """Completes the manifest of a conversion that was made before it had the types."""
    with suppress(OSError, ValueError, QuantgateError):  # without them it is as good as it was
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if _TYPES not in manifest:
            _write(folder / MANIFEST, {**manifest, _TYPES: read_types(source).to_json()})


def _write(path: Path, manifest: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(manifest, indent=2, sort_keys=True).encode(), None, str(path))


def _checked_digest(source: Path) -> str:
    try:
        with source.open("rb") as file:
            magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise ModelError("not a GGUF file", where=str(source), hint="download or copy it again")
        return file_digest(source)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}", where=str(source)) from error


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether the folder holds a conversion of that source, every file as it was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        made_from = (manifest["version"], manifest["source"])
        files = manifest["files"].items()
        return made_from == (_MANIFEST_VERSION, digest) and all(
            Path(name).name == name and file_digest(folder / name) == expected for name, expected in files
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _locked(folder: Path, note: Callable[[str], None]) -> AbstractContextManager[object]:
    """The lock of a conversion, taken; leaving the context gives it back."""
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        note("waiting for another process that converts the same model")
        try:
            return lock.acquire(timeout=_WAIT_SECONDS)
        except Timeout:
            raise ModelError(
                f"another process has been converting this model for {_WAIT_SECONDS // 60} minutes",
                where=str(lock.lock_file),
                hint="end that process and try again",
            ) from None


def _set_aside(folder: Path, note: Callable[[str], None]) -> None:
    if folder.exists():
        aside = folder.with_suffix(".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.replace(aside)
        note(f"the converted model in {folder} was damaged: moved to {aside}, converting again")


def _build(source: Path, digest: str, folder: Path, convert: Convert) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        convert(source, partial)
        files = {path.name: file_digest(path) for path in sorted(partial.iterdir())}
        manifest = {"version": _MANIFEST_VERSION, "source": digest, "files": files}
        with suppress(ModelError):  # a conversion needs more of the file than its headers, and was made
            manifest[_TYPES] = read_types(source).to_json()
        _write(partial / MANIFEST, manifest)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for name, file in files.items():
        remember_digest(folder / name, file)


def _convert_with_transformers(source: Path, folder: Path) -> None:
    from pytest_quantgate.variants.convert import convert_gguf  # imports torch

    convert_gguf(source, folder)
