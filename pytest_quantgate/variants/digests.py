"""SHA-256 of files, computed once per file and remembered across runs."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pytest_quantgate.paths import cache_folder

_LOGGER = logging.getLogger(__name__)
_REMEMBERED_FROM_BYTES = 1 << 20  # below this hashing costs less than asking
_SETTLED_NS = 100_000_000  # a younger file may change again without its times showing it
_TABLE = "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT NOT NULL)"


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's content.

    Large files are hashed once and remembered in the user's cache folder by resolved path, size, times of
    content and inode, and inode number. Where that folder cannot be written, the file is hashed every time.

    Args:
        path: A readable file; links are followed.

    Raises:
        OSError: The file cannot be read.
    """
    path = path.resolve(strict=True)
    before = path.stat()
    if before.st_size < _REMEMBERED_FROM_BYTES:
        return _hash(path)
    if known := _recall(path, before):
        return known
    digest = _hash(path)
    if _state(path.stat()) == _state(before):
        _remember(path, before, digest)
    return digest


def remember_digest(path: Path, digest: str) -> None:
    """Notes a digest that the caller computed from the file as it is now."""
    path = path.resolve(strict=True)
    _remember(path, path.stat(), digest)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(stat: os.stat_result) -> str:
    # the inode's time catches an edit whose author put the content's time back
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _recall(path: Path, stat: os.stat_result) -> str | None:
    found: str | None = None
    with _store() as store:
        if store:
            row = store.execute("SELECT state, sha256 FROM digests WHERE path = ?", (os.fspath(path),)).fetchone()
            if row and row[0] == _state(stat) and re.fullmatch("[0-9a-f]{64}", str(row[1])):
                found = str(row[1])
    return found


def _remember(path: Path, stat: os.stat_result, digest: str) -> None:
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < _SETTLED_NS:
        return
    with _store() as store:
        if store:
            store.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", (os.fspath(path), _state(stat), digest))


@contextmanager
def _store() -> Iterator[sqlite3.Connection | None]:
    """The open store, or None where there can be none; a fault of the store never leaves this function."""
    folder = cache_folder()
    file = folder / "digests.sqlite3"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = _open(file)
    except (OSError, sqlite3.Error) as error:
        _LOGGER.debug("digests are not remembered: %s", error)
        yield None
        return
    with closing(store):
        try:
            with store:
                yield store
        except sqlite3.OperationalError as error:  # locked for long, full disk, read-only
            _LOGGER.debug("digests are not remembered: %s", error)
        except sqlite3.DatabaseError:
            _set_aside(file)


def _open(file: Path) -> sqlite3.Connection:
    try:
        return _connect(file)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # torn, or not a database at all
        _set_aside(file)
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    store = sqlite3.connect(file, timeout=5)
    try:
        store.execute("PRAGMA journal_mode=WAL")
        store.execute(_TABLE)
    except sqlite3.Error:
        store.close()
        raise
    return store


def _set_aside(file: Path) -> None:
    aside = file.with_name(f"{file.name}.damaged")
    _LOGGER.warning("%s is damaged: moved to %s and started anew", file, aside)
    with suppress(FileNotFoundError):  # another process was faster
        file.replace(aside)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
