"""Which cases turn when some layers are kept, by known answers. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import Final

from torch import nn

from pytest_quantgate.diagnosis.points import FOLLOWING, Point
from pytest_quantgate.diagnosis.running import Runner, Trace
from pytest_quantgate.diagnosis.standing import standing
from pytest_quantgate.diagnosis.swapping import swapped

MOST_TOKENS: Final = 3_000
"""Tokens of all points together that are read for each trial; the shortest ones are."""


@dataclass(frozen=True, slots=True)
class Screened:
    """What became of the points.

    Attributes:
        turned: Ids of degraded cases that go on as the reference does.
        lost: Ids of preserved cases at which the reference's token fell.
    """

    turned: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()

    @property
    def net(self) -> int:
        """Cases won, less those lost."""
        return len(self.turned) - len(self.lost)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A point, and what is known of it.

    Attributes:
        point: The point.
        trace: The candidate's, without keys and values: all begins at position 0.
        rank: The lowest place of the reference's token that is still good, from 1.
        follows: What the reference chooses behind its own next tokens, where a case must go on so.
    """

    point: Point
    trace: Trace
    rank: float
    follows: tuple[int, ...]


class Screen:
    """Some points of a candidate, read once, so that each trial begins at the first layer that differs.

    Of each group the shortest points are looked at, up to half of ``MOST_TOKENS`` and at least one. Degraded ones at
    which the reference's token stands no lower with the candidate show nothing, and are left out.

    Args:
        reference: The trusted variant.
        candidate: The one that broke.
        points: Where.
        check: Called before each point is read, then and in each trial; what it raises goes through.
    """

    def __init__(
        self, reference: Runner, candidate: Runner, points: Iterable[Point], check: Callable[[], None] = lambda: None
    ) -> None:
        self._reference = reference
        self._candidate = candidate
        self._check = check
        self._first = looked_at(points)
        read = (self._read(point, learned=False) for point in self._first)
        self._own = [each for each in read if each is not None]
        self._learned: dict[Point, _Watched] = {}
        layers = candidate.architecture.layers
        self._layer = {name: number for number, layer in enumerate(layers) for name in layer.linear.values()}

    def learn(self, points: Iterable[Point]) -> bool:
        """Look at other points too: where protected candidates went wrong. There a case must go on as the reference.

        The newest are looked at, as many tokens as the first points have, and none that is longer than the longest of
        these with the reference's answer to its end: memory was counted by them.

        Args:
            points: What was learned, the newest last; a point in the place of another stands for it.

        Returns:
            Whether anything is looked at that was not.
        """
        own = {each.point for each in self._own}
        added = [point for point in within(points, self._first) if point not in own]
        self._learned = {point: known for point in added if (known := self._learned.get(point)) is not None}
        new = [point for point in added if point not in self._learned]
        for point in new:
            watched = self._read(point, learned=True)
            if watched is not None:
                self._learned[point] = watched
        return bool(new)

    @property
    def _watched(self) -> tuple[_Watched, ...]:
        places = {point.place for point in self._learned}
        return *(each for each in self._own if each.point.place not in places), *self._learned.values()

    @property
    def points(self) -> tuple[Point, ...]:
        """All points that are looked at."""
        return tuple(each.point for each in self._watched)

    @property
    def preserved(self) -> tuple[Point, ...]:
        """Those of cases that pass with both variants."""
        return tuple(point for point in self.points if not point.degraded)

    @property
    def degraded_cases(self) -> frozenset[str]:
        """Ids of the cases that broke."""
        return frozenset(point.case_id for point in self.points if point.degraded)

    @property
    def preserved_cases(self) -> frozenset[str]:
        """Ids of the others."""
        return frozenset(point.case_id for point in self.preserved)

    @property
    def good(self) -> Mapping[Point, float]:
        """All of them, with the lowest place of the reference's token that is still good."""
        return {each.point: each.rank for each in self._watched}

    def tried(self, donor: nn.Module, names: Collection[str]) -> Screened:
        """What becomes of the points when some layers are a donor's.

        A degraded case is turned back when the reference's token stands where it stands with the reference, and the
        tokens behind it are the reference's too; a preserved one is lost when it stands lower than with both variants.
        At learned points both must go on as the reference, a preserved one may as well go its own way. Of a case with
        several points all must be good. Costs one pass over each point through the layers from the first named one on,
        and one whole pass over those that may be turned back.

        Args:
            donor: Holds modules of these names.
            names: Full names of linear layers; at least one.
        """
        first = min(self._layer[name] for name in names)
        bad = set()
        with swapped(self._candidate.model, donor, names):
            for each in self._watched:
                self._check()
                logits = self._candidate.resume(each.trace, first, each.trace.states[first][None])[0]
                right = float(standing(logits, each.point.target)) <= each.rank and self._goes_on(each)
                if not right and not self._goes_its_own_way(each.point):
                    bad.add(each.point.case_id)
        return Screened(self.degraded_cases - bad, self.preserved_cases & bad)

    def _read(self, point: Point, *, learned: bool) -> _Watched | None:
        """What must be known of a point; None where it shows nothing."""
        self._check()
        known = _known(point)
        memory = self._reference.memory()
        logits = self._reference.read(known, memory, keep=len(known) - len(point.token_ids) + 1)
        trace = self._candidate.trace(point.token_ids)
        before, after = (float(standing(each, point.target)) for each in (logits[0], trace.logits))
        if point.degraded and after <= before and not learned:
            return None
        strict = point.degraded or learned
        follows = tuple(logits[1:].argmax(dim=-1).tolist()) if strict else ()
        return _Watched(point, replace(trace, memory=()), before if strict else max(before, after), follows)

    def _goes_on(self, each: _Watched) -> bool:
        if not each.follows:
            return True
        choices = self._candidate.choices(_known(each.point), len(each.point.token_ids))
        return tuple(choices.tolist()) == each.follows

    def _goes_its_own_way(self, point: Point) -> bool:
        if not point.own:
            return False
        choices = self._candidate.choices((*point.token_ids, *point.own[:-1]), len(point.token_ids) - 1)
        return tuple(choices.tolist()) == point.own


def looked_at(points: Iterable[Point]) -> tuple[Point, ...]:
    """Those of some points that a screen looks at, the degraded ones first."""
    ordered = sorted(points, key=lambda point: (len(point.token_ids), point.case_id))
    return (
        *_shortest([point for point in ordered if point.degraded]),
        *_shortest([point for point in ordered if not point.degraded]),
    )


def within(learned: Iterable[Point], points: Sequence[Point]) -> tuple[Point, ...]:
    """Of learned points the newest ones that memory was counted for, in the same order.

    Args:
        learned: The newest last.
        points: What ``looked_at`` gave.
    """
    most, room = longest(points), sum(len(point.token_ids) for point in points)
    taken: list[Point] = []
    for point in reversed(tuple(learned)):
        if len(point.token_ids) <= min(most, room):
            room -= len(point.token_ids)
            taken.append(point)
    return tuple(reversed(taken))


def longest(points: Iterable[Point]) -> int:
    """Most tokens of a point up to the end of the reference's answer; 0 without points."""
    return max((len(point.token_ids) + 1 + len(point.following) for point in points), default=0)


def _known(point: Point) -> tuple[int, ...]:
    """The tokens of a point, and the reference's behind them that a case must go on with."""
    following = point.following[:FOLLOWING]
    return (*point.token_ids, point.target, *following[:-1]) if following else point.token_ids


def _shortest(points: Sequence[Point]) -> list[Point]:
    """Of points in order of length, the first ones that fit."""
    totals = accumulate(len(point.token_ids) for point in points)
    fitting = sum(1 for _ in takewhile(lambda total: total <= MOST_TOKENS // 2, totals))
    return list(points[: max(fitting, 1)])
