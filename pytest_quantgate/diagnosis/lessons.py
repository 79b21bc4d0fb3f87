"""What whole answers teach a search: where protected candidates still go wrong; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Chosen, Point
    from pytest_quantgate.diagnosis.trials import Protection
    from pytest_quantgate.outcomes.model import Comparison


class Lessons:
    """The places at which cases that failed when they were decoded parted from the reference's answers.

    Args:
        choose: Finds such places, as ``points_of`` does, within its limits.
        degraded: The cases that the candidate breaks by itself.
    """

    def __init__(self, choose: Callable[[Sequence[Comparison]], Chosen], degraded: Sequence[Comparison]) -> None:
        self._choose = choose
        self._degraded = {each.case.id: each for each in degraded}
        self._points: dict[tuple[str, tuple[int, ...], int], Point] = {}
        self._heard = 0

    @property
    def points(self) -> tuple[Point, ...]:
        """The places, the newest last, each in the group of its case; the rival is the protected candidate's token."""
        return tuple(self._points.values())

    def learn(self, decoded: Sequence[Protection]) -> None:
        """Take in what was decoded since the last time.

        Of a degraded case the place where the candidate itself parts is learned too: it may be none of those that are
        looked at, and what goes wrong behind it says nothing of whether it was turned back.

        Args:
            decoded: Everything that was, in order.
        """
        new = [each.fails for each in decoded[self._heard :] if each.fails]
        self._heard = len(decoded)
        failed = {each.case.id for those in new for each in those}
        own = [each for name, each in self._degraded.items() if name in failed]
        for those in (own, *new):
            for point in self._choose(those).points:
                self._points.pop(point.place, None)  # the newest are last
                self._points[point.place] = replace(point, degraded=point.case_id in self._degraded)
