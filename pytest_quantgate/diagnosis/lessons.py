"""What whole answers teach a search: where protected candidates still go wrong; no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Chosen, Point
    from pytest_quantgate.diagnosis.trials import Protection
    from pytest_quantgate.outcomes.model import Comparison


class Lessons:
    """The places at which cases that failed when they were decoded parted from the reference's answers, each once.

    Args:
        choose: Finds such places: ``points_of`` without its limits.
        degraded: Ids of the cases that the candidate breaks by itself.
    """

    def __init__(self, choose: Callable[[Sequence[Comparison]], Chosen], degraded: Iterable[str]) -> None:
        self._choose = choose
        self._degraded = frozenset(degraded)
        self._points: dict[tuple[str, tuple[int, ...]], Point] = {}
        self._heard = 0

    @property
    def points(self) -> tuple[Point, ...]:
        """The places, each in the group that its case is in; the rival is the protected candidate's token."""
        return tuple(self._points.values())

    def learn(self, decoded: Sequence[Protection]) -> bool:
        """Take in what was decoded since the last time.

        Args:
            decoded: Everything that was, in order.

        Returns:
            Whether there was a case to learn from.
        """
        fails = [each.fails for each in decoded[self._heard :]]
        self._heard = len(decoded)
        found = [point for those in fails if those for point in self._choose(those).points]
        for point in found:
            group = replace(point, degraded=point.case_id in self._degraded)
            self._points[point.case_id, point.token_ids] = group
        return bool(found)
