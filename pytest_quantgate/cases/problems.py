"""Collects everything that is wrong with one file, so that all of it is told in one go."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_quantgate.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_QUOTE = 60


class Problems:
    """The problems of one file, in the order in which they were met; the same one is kept once.

    Args:
        path: The file, as the user named it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: dict[Problem, None] = {}

    def add(self, line: int, message: str) -> None:
        """Note one problem.

        Args:
            line: Where it is, counted from 1.
            message: What is wrong and what would be right.
        """
        self._found[Problem(self.path, line, message)] = None

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over the problems of a file that this one refers to."""
        self._found.update(dict.fromkeys(problems))

    def beside(self, relative: str) -> Problems:
        """None yet: those of the file at this path from the folder of this one, named as the user would name it."""
        return Problems(str(PurePath(self.path).parent / relative))

    def found(self) -> tuple[Problem, ...]:
        """Everything noted so far."""
        return tuple(self._found)

    def __len__(self) -> int:
        return len(self._found)


def quoted(value: object) -> str:
    """What the user wrote, quoted for a one-line message: escaped, and cut when it is long."""
    # Cut before repr as well: an untrusted key may be megabytes long.
    text = repr(value[: _LONGEST_QUOTE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"
