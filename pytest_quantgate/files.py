"""Writes a file whole or not at all, and where that matters only over what its writer has read.

It is written beside itself and put in its place in one step, so that a killed run leaves the old file or the new one.
The file that is written beside it is also the lock: whoever holds it may write. Its name is always the same, so the
next run takes over what a killed one left, and nothing is left behind when all goes well. What somebody else laid
there, in a folder of many users, is never written to.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import QuantgateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE: Final = 30.0
"""Seconds that a run waits for another one that writes the same file."""

_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a file system that has none: write all the same
_RETRY_SECONDS: Final = 0.05
_BLOCK: Final = 2**20
_LONGEST: Final = 60  # characters of a name, at most four bytes each, so that it is none too long for a file system


def write_bytes(path: Path, data: bytes | None, digest: str | None, where: str, *, what: str = "file") -> None:
    """Write a file whole or not at all; its folder is made when missing.

    Args:
        path: The file.
        data: What it is to hold; None removes it.
        digest: SHA-256 (hex) of what it must still hold; empty when it must not be there; None when that is all one.
        where: How messages name it.
        what: What messages call it.

    Raises:
        QuantgateError: It could not be written, or it changed since it was read; then it is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path, where) as (descriptor, temporary):
            if digest is not None and _digest(path) != digest:
                raise QuantgateError(
                    "the file changed since this run read it: it is left as it is",
                    where=where,
                    hint="Run again: what it holds now is compared anew.",
                )
            if data is None:
                path.unlink(missing_ok=True)
            else:
                _fill(descriptor, data)
                temporary.replace(path)
            _settle(path.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        # a run removes the report of an earlier one when it begins
        kept = "What it held before is untouched. " if os.path.lexists(path) else ""
        raise QuantgateError(
            f"the {what} cannot be written: {reason}",
            where=where,
            hint=f"{kept}Make room, or its folder writable, and run again.",
        ) from None


@contextmanager
def _beside(path: Path, where: str) -> Iterator[tuple[int, Path]]:
    """The file beside another one, open, empty, and held by nobody else; it is removed unless it took its place."""
    temporary = path.with_name(f".{path.name[:_LONGEST]}.tmp")
    descriptor = _hold(temporary, where)
    try:
        os.ftruncate(descriptor, 0)
        yield descriptor, temporary
    finally:
        if _is_at(descriptor, temporary):
            with suppress(OSError):
                temporary.unlink()
        os.close(descriptor)  # lets go of the lock


def _hold(temporary: Path, where: str) -> int:
    """Open and lock the file.

    Raises:
        QuantgateError: Another run holds it for too long.
        OSError: It cannot be opened or locked.
    """
    until = time.monotonic() + PATIENCE
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, temporary):  # else it took its place, or went, before the lock was had
                if _is_ours(descriptor):
                    return descriptor
                temporary.unlink()
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in _NO_LOCKS and _is_at(descriptor, temporary) and _is_ours(descriptor):
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > until:
            raise QuantgateError("another run is writing this file", where=where, hint="Run again when it is done.")
        time.sleep(_RETRY_SECONDS)


def _is_ours(descriptor: int) -> bool:
    """Whether a file is one that only this user's runs write: nobody has laid it there with another name for it."""
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _digest(path: Path) -> str:
    """SHA-256 (hex) of what the file holds now; empty when there is none."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except FileNotFoundError:
        return ""
    return found.hexdigest()


def _fill(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(data)
        file.flush()
    os.fsync(descriptor)


def _settle(folder: Path) -> None:
    """Make the new name last through a crash of the machine, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
