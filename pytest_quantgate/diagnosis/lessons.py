"""What whole answers teach a search: where protected candidates still go wrong; no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantgate.diagnosis.points import FOLLOWING
from pytest_quantgate.outcomes.difference import first_unequal

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Chosen, Point
    from pytest_quantgate.diagnosis.trials import Protection
    from pytest_quantgate.outcomes.model import Comparison


class Lessons:
    """The places at which cases that failed when they were decoded parted from the reference's answers.

    Args:
        choose: Finds such places, as ``points_of`` does, within its limits.
        degraded: The cases that the candidate breaks by itself.
        preserved: Those that it passes by itself.
    """

    def __init__(
        self,
        choose: Callable[[Sequence[Comparison]], Chosen],
        degraded: Sequence[Comparison],
        preserved: Sequence[Comparison],
    ) -> None:
        self._choose = choose
        self._degraded = {each.case.id: each for each in degraded}
        self._preserved = {each.case.id: each for each in preserved}
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
            for point in self._points_of(those):
                known = self._points.pop(point.place, point)  # the newest are last
                further = max(known.own, point.own, key=len)  # both begin alike, and the shorter was seen to fail
                self._points[point.place] = replace(point, own=further)

    def _points_of(self, fails: Sequence[Comparison]) -> Iterator[Point]:
        chosen, by_id = self._choose(fails), {each.case.id: each for each in fails}
        for point in chosen.points:
            name = point.case_id
            own: tuple[int, ...] = ()
            if name in self._preserved and name not in chosen.recalled:
                own = own_way(self._preserved[name], by_id[name], point)
            yield replace(point, degraded=name in self._degraded, own=own)


def own_way(kept: Comparison, fails: Comparison, point: Point) -> tuple[int, ...]:
    """How a candidate goes on that passes a case by itself, where a protected one failed; if not as the reference does.

    Args:
        kept: The case with the candidate as it is.
        fails: The same with the protected one.
        point: Where that parts from the reference.

    Returns:
        The candidate's tokens, until the protected one has parted from these too, and ``FOLLOWING`` more; empty where
        it never does, where the candidate says there what the reference says, or in a case of several turns.
    """
    if kept.reference.turns:
        return ()
    own, at = kept.candidate.completion.token_ids, len(point.token_ids) - point.prompt_tokens
    if own[:at] != point.token_ids[point.prompt_tokens :] or own[at : at + 1] == (point.target,):
        return ()
    parted = first_unequal(own, fails.candidate.completion.token_ids)
    return () if parted is None or parted >= len(own) else own[at : parted + 1 + FOLLOWING]
