"""Standard streams that may be closed, full, or read by nobody any more; and untrusted text on them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

from pytest_quantgate.errors import UsageError


def write(text: str, out: TextIO) -> None:
    """Write one line of a command's result.

    Raises:
        BrokenPipeError: When whoever read it has seen enough.
        UsageError: When it cannot be written for another reason, such as a full disk.
    """
    with _writing(out):
        print(text, file=out)


def flush(out: TextIO) -> None:
    """Write what is held back, with the errors of ``write``; left to the interpreter, it would end in a traceback."""
    with _writing(out):
        out.flush()


def tell(text: str, err: TextIO | None) -> None:
    """Write one line beside the result; where nobody can read it, the command goes on without."""
    if err is None:  # closed before the command started
        return
    try:
        print(text, file=err, flush=True)
    except (OSError, ValueError):
        silence(err)


def silence(stream: TextIO) -> None:
    """Let what is written from here on, and what is held back, go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _writing(out: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        silence(out)
        if isinstance(error, BrokenPipeError):
            raise
        raise UsageError(f"cannot be written: {error.strerror or error}", where="standard output") from None
