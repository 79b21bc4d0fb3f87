"""How long a search may go on; no torch."""

from __future__ import annotations

from math import inf
from time import monotonic


class TimeUpError(Exception):
    """No time is left for another step; what was tried holds."""


class Clock:
    """Runs from when it is made.

    Args:
        minutes: That it lets pass at first.
    """

    def __init__(self, minutes: float = inf) -> None:
        self._began = monotonic()
        self.allow(minutes)

    def allow(self, minutes: float) -> None:
        """Lets so many minutes pass since it was made."""
        self._until = self._began + 60 * minutes

    def check(self, needed: float = 0.0) -> None:
        """Goes on, or not.

        Args:
            needed: Seconds that the next step takes.

        Raises:
            TimeUpError: No time is left, or less than that.
        """
        if self.now() + needed >= self._until:
            raise TimeUpError

    @staticmethod
    def now() -> float:
        """Seconds since some moment."""
        return monotonic()
