"""The one exception family of the project.

Every message says what happened, where (``FILE:LINE``, a node id, a spec string), and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class QuantgateError(Exception):
    """Something the user can act on; shown as its message, never as a traceback.

    Args:
        what: What happened, as one sentence without a trailing full stop.
        where: The place it happened: ``FILE:LINE``, a spec string, a model name.
        hint: What to do next, as one sentence or a command line.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head}\n  {hint}" if hint else head)


class UsageError(QuantgateError):
    """Options that cannot be right, or do not fit together."""


class SpecError(QuantgateError):
    """A variant spec that is unknown, malformed, or cannot run here."""


class ModelError(QuantgateError):
    """A model that is missing, broken, or too large for this machine."""


class AuditError(QuantgateError):
    """A candidate that is not quantized in the way that its spec says."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a file.

    Attributes:
        path: The file, as the user named it.
        line: Line number, counted from 1.
        message: What is wrong and, where there is one, the nearest valid name.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class FileError(QuantgateError):
    """Files that cannot be read as what they should be; carries every problem, not the first.

    Args:
        problems: All problems found; at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        if not self.problems:
            msg = f"{type(self).__name__} needs at least one problem"
            raise ValueError(msg)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SliceError(FileError):
    """One or more slice files that cannot be loaded."""


class GoldenError(FileError):
    """A golden that cannot be read."""


def nearest(name: str, valid: Iterable[str], *, otherwise: str = "") -> str:
    """A hint that names the nearest valid name, or lists them all.

    Args:
        name: What the user wrote.
        valid: The names that would have been right.
        otherwise: What to say when none is near, where they are too many to be listed.

    Returns:
        ``did you mean 'x'?`` when one is near, else ``otherwise`` or ``known: a, b, c``.
    """
    names = sorted(valid)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return otherwise or f"known: {', '.join(names)}"


class QuantgateWarning(UserWarning):
    """Something went wrong that the run survives, such as a cache that had to be set aside."""
