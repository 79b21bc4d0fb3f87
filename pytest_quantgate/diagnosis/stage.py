"""How far one part of a diagnosis has come, as people follow it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_quantgate.generation.progress import LOG_INTERVAL_SECONDS
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.generation.progress import Progress


class Stage:
    """One part of a diagnosis told in a line when it begins, and one every half minute.

    Args:
        progress: Who tells them.
        label: What is done.
        cases: How many cases it takes.
    """

    def __init__(self, progress: Progress, label: str, cases: int) -> None:
        self._progress, self._label, self._cases = progress, label, cases
        self._done = 0
        self._told = time.monotonic()
        progress.note(f"{label}, {counted(cases, 'case')}")

    def __call__(self, cases: int) -> None:
        """So many more cases are through."""
        self._done += cases
        now = time.monotonic()
        if now - self._told >= LOG_INTERVAL_SECONDS and self._done < self._cases:
            self._told = now
            self._progress.note(f"{self._label}, {self._done} of {self._cases} cases")
