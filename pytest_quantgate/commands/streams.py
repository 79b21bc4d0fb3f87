"""Standard streams that may be closed, full, or read by nobody any more; and untrusted text on them."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from pytest_quantgate.errors import FileError, QuantgateWarning, UsageError
from pytest_quantgate.printable import no_command, visible

if TYPE_CHECKING:
    from pytest_quantgate.generation.progress import Progress

LAYOUT: Final = "\n\t"
"""What messages are laid out with; every other control character is somebody else's."""


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
        print(no_command(text), file=err, flush=True)
    except (OSError, ValueError):
        silence(err)


def silence(stream: TextIO) -> None:
    """Let what is written from here on, and what is held back, go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def tell_problems(error: FileError, out: TextIO | None) -> None:
    """Write every problem of some files, and beside the result how many there are and what to do about them."""
    lines = "\n".join(visible(str(problem)) for problem in error.problems)
    if out is sys.stderr:
        tell(lines, out)
    else:
        write(lines, sys.stdout)
    count = len(error.problems)
    tell(f"{count:,} problem{'s' if count > 1 else ''}", sys.stderr)
    if error.hint is not None:
        tell(visible(error.hint), sys.stderr)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """The project's warnings as one line on standard error, without the source line that Python adds."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", QuantgateWarning)
        warnings.showwarning = lambda message, *_, **__: tell(
            f"quantgate: warning: {visible(str(message), keep=LAYOUT)}", sys.stderr
        )
        yield


def progress() -> Progress:
    """Told how far a long command has come, which people read on standard error."""
    from pytest_quantgate.generation.progress import RichProgress, SilentProgress

    if sys.stderr is None:  # closed before the command started
        return SilentProgress()
    from rich.console import Console

    return RichProgress(Console(stderr=True, highlight=False))


def can_ask() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str) -> bool:
    """Ask for a yes."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except (EOFError, OSError, UnicodeDecodeError):  # the terminal went away, or said what is no text
        return False


@contextlib.contextmanager
def _writing(out: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        silence(out)
        if isinstance(error, BrokenPipeError):
            raise
        raise UsageError(f"cannot be written: {error.strerror or error}", where="standard output") from None
