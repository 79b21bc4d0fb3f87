"""The one exception family of the project.

Every message says what happened, where (``FILE:LINE``, a node id, a spec string), and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_NEAR: Final = 0.6
"""Likeness, as difflib measures it, from which a name is near."""


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
        hint: What to do about them, where their messages cannot say.
    """

    def __init__(self, problems: Iterable[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(sorted(problems))
        if not self.problems:
            msg = f"{type(self).__name__} needs at least one problem"
            raise ValueError(msg)
        super().__init__("\n".join(str(problem) for problem in self.problems), hint=hint)


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
    names = list(valid)
    close = _closest(name, names)
    if close is not None:
        return f"did you mean {close!r}?"
    return otherwise or f"known: {', '.join(sorted(names))}"


def _closest(name: str, names: Iterable[str]) -> str | None:
    """The first that ``difflib.get_close_matches`` would give; None when none is near.

    A full comparison takes long, and a run may have 100,000 names: they are ordered by a bound that takes little, and
    compared in full as long as one that is left could be nearer.
    """
    matcher = SequenceMatcher(None, "", name)
    bounds = []
    for each in names:
        matcher.set_seq1(each)
        if matcher.real_quick_ratio() >= _NEAR and (bound := matcher.quick_ratio()) >= _NEAR:
            bounds.append((bound, each))
    best = (0.0, "")
    for bound, each in sorted(bounds, reverse=True):
        if bound < best[0]:
            break
        matcher.set_seq1(each)
        best = max(best, (matcher.ratio(), each))
    return best[1] if best[0] >= _NEAR else None


class QuantgateWarning(UserWarning):
    """Something went wrong that the run survives, such as a cache that had to be set aside."""
