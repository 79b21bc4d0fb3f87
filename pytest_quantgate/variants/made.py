"""Checkpoint folders that are made once, in the user's cache folder, and shared by all processes that need them.

A folder is built under a file lock beside its final place, and moved there whole. Its manifest holds what it was made
from and the digest of every file, so that one that was damaged later, or that somebody put a file into, is noticed,
set aside and made again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_quantgate.errors import ModelError
from pytest_quantgate.paths import CACHE_VARIABLE, cache_folder
from pytest_quantgate.variants.digests import file_digest, remember_digest

MANIFEST = "quantgate-manifest.json"

Note = Callable[[str], None]

Make = Callable[[Path], Mapping[str, Any]]
"""Writes into an empty folder, and gives what the manifest is to say beside what it always does, as plain JSON."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a folder is made of.

    Attributes:
        what: What it is for people: ``the converted model``.
        kind: The folder below the cache folder that holds it and its like.
        digest: SHA-256 (hex) of all that goes into it; it names the folder.
        version: Raised when the same ingredients give something else than before.
        wait_seconds: How long another process may take to make it.
        where: What the user named, for messages.
    """

    what: str
    kind: str
    digest: str
    version: int
    wait_seconds: int
    where: str

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return cache_folder() / self.kind / self.digest[:16]


def made_folder(recipe: Recipe, note: Note, make: Make) -> Path:
    """The folder of a recipe, made when that was not done yet.

    Any number of processes may ask at once: one makes it, the others wait for it.

    Args:
        recipe: What it is made of.
        note: Told when it is waited for or made again; what begins and how far it came is said by ``make``.
        make: Writes it.

    Raises:
        ModelError: The cache folder cannot be written, or another process takes too long.
    """
    folder = recipe.folder
    if is_whole(recipe):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(recipe, note):
            if not is_whole(recipe):  # nobody was faster
                _set_aside(recipe, note)
                _build(recipe, make)
    except OSError as error:
        raise ModelError(
            f"{recipe.what} cannot be written to {folder}: {error.strerror or error}",
            where=recipe.where,
            hint=f"free some space, or set {CACHE_VARIABLE} to a folder that can be written",
        ) from error
    return folder


def is_whole(recipe: Recipe) -> bool:
    """Whether the folder was made of this, every file as it was written and no other beside them.

    Loaders look for more files than a folder has, such as an adapter. None of those is hidden, as what ``files`` writes
    beside the manifest is.
    """
    folder = recipe.folder
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        made_of = (manifest["version"], manifest["source"])
        files = manifest["files"]
        there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        return (
            made_of == (recipe.version, recipe.digest)
            and there <= {MANIFEST, *files}
            and all(Path(name).name == name and file_digest(folder / name) == each for name, each in files.items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _locked(recipe: Recipe, note: Note) -> AbstractContextManager[object]:
    """The lock of a folder, taken; leaving the context gives it back."""
    lock = FileLock(recipe.folder.with_suffix(".lock"))
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        note(f"waiting for another process that makes {recipe.what}")
        try:
            return lock.acquire(timeout=recipe.wait_seconds)
        except Timeout:
            raise ModelError(
                f"another process has been making {recipe.what} for {recipe.wait_seconds // 60} minutes",
                where=str(lock.lock_file),
                hint="end that process and try again",
            ) from None


def _set_aside(recipe: Recipe, note: Note) -> None:
    folder = recipe.folder
    if folder.exists():
        aside = folder.with_suffix(".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        folder.replace(aside)
        note(f"{recipe.what} in {folder} was damaged: moved to {aside}, making it again")


def _build(recipe: Recipe, make: Make) -> None:
    folder = recipe.folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        facts = make(partial)
        files = {path.name: file_digest(path) for path in sorted(partial.iterdir())}
        manifest = {**facts, "version": recipe.version, "source": recipe.digest, "files": files}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for name, file in files.items():
        remember_digest(folder / name, file)
