"""Which cases turn when some layers are kept, by known answers. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import Final

from torch import nn

from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner, Trace
from pytest_quantgate.diagnosis.standing import standing
from pytest_quantgate.diagnosis.swapping import swapped

MOST_TOKENS: Final = 3_000
"""Tokens of all points together that are read for each trial; the shortest ones are."""

FOLLOWING: Final = 4
"""Tokens behind the first that a case must go on with as the reference does, to count as turned back."""


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
        learned: Where protected candidates went wrong in cases of these points or others, see ``within``. There a case
            of either group must go on as the reference does.
    """

    def __init__(
        self,
        reference: Runner,
        candidate: Runner,
        points: Iterable[Point],
        check: Callable[[], None] = lambda: None,
        learned: Iterable[Point] = (),
    ) -> None:
        self._candidate = candidate
        self._check = check
        self._watched: list[_Watched] = []
        seen = looked_at(points)
        added = within(learned, seen)
        places = {_place(point) for point in added}
        for point in (*(point for point in seen if _place(point) not in places), *added):
            check()
            watched = _watched(reference, candidate, point, learned=_place(point) in places)
            if watched is not None:
                self._watched.append(watched)
        layers = candidate.architecture.layers
        self._layer = {name: number for number, layer in enumerate(layers) for name in layer.linear.values()}

    @property
    def points(self) -> tuple[Point, ...]:
        """All points that are looked at."""
        return tuple(each.point for each in self._watched)

    @property
    def degraded(self) -> tuple[Point, ...]:
        """The degraded points that are looked at."""
        return tuple(each.point for each in self._watched if each.point.degraded)

    @property
    def preserved(self) -> tuple[Point, ...]:
        """The preserved ones."""
        return tuple(each.point for each in self._watched if not each.point.degraded)

    @property
    def good(self) -> Mapping[Point, float]:
        """All of them, with the lowest place of the reference's token that is still good."""
        return {each.point: each.rank for each in self._watched}

    def tried(self, donor: nn.Module, names: Collection[str]) -> Screened:
        """What becomes of the points when some layers are a donor's.

        A degraded case is turned back when the reference's token stands where it stands with the reference, and the
        tokens behind it are the reference's too. A preserved one is lost when it stands lower than with both variants.
        Of a case with several points all must be good. Costs one pass over each point through the layers from the
        first named one on, and one whole pass over those that may be turned back.

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
                if float(standing(logits, each.point.target)) > each.rank or not self._goes_on(each):
                    bad.add(each.point.case_id)
        turned = {point.case_id for point in self.degraded} - bad
        return Screened(frozenset(turned), frozenset(point.case_id for point in self.preserved) & bad)

    def _goes_on(self, each: _Watched) -> bool:
        if not each.follows:
            return True
        choices = self._candidate.choices(_known(each.point), len(each.point.token_ids))
        return tuple(choices.tolist()) == each.follows


def looked_at(points: Iterable[Point]) -> tuple[Point, ...]:
    """Those of some points that a screen looks at, the degraded ones first."""
    ordered = sorted(points, key=lambda point: (len(point.token_ids), point.case_id))
    return (
        *_shortest([point for point in ordered if point.degraded]),
        *_shortest([point for point in ordered if not point.degraded]),
    )


def within(learned: Iterable[Point], points: Sequence[Point]) -> tuple[Point, ...]:
    """Of learned points the shortest ones, as many tokens together as the points that are looked at anyway have.

    None is longer than any of these with the reference's answer to its end: memory was counted by them.

    Args:
        learned: Where protected candidates went wrong.
        points: What ``looked_at`` gave.
    """
    ordered = sorted(learned, key=lambda point: (len(point.token_ids), point.case_id))
    most, room = longest(points), sum(len(point.token_ids) for point in points)
    totals = accumulate(len(point.token_ids) for point in ordered)
    pairs = zip(ordered, totals, strict=True)
    return tuple(point for point, total in pairs if total <= room and len(point.token_ids) <= most)


def longest(points: Iterable[Point]) -> int:
    """Most tokens of a point up to the end of the reference's answer; 0 without points."""
    return max((len(point.token_ids) + 1 + len(point.following) for point in points), default=0)


def _place(point: Point) -> tuple[str, tuple[int, ...]]:
    return point.case_id, point.token_ids


def _watched(reference: Runner, candidate: Runner, point: Point, *, learned: bool) -> _Watched | None:
    """What must be known of a point; None where it shows nothing."""
    known = _known(point)
    logits = reference.read(known, reference.memory(), keep=len(known) - len(point.token_ids) + 1)
    trace = candidate.trace(point.token_ids)
    before, after = (float(standing(each, point.target)) for each in (logits[0], trace.logits))
    if point.degraded and after <= before and not learned:
        return None
    strict = point.degraded or learned
    follows = tuple(logits[1:].argmax(dim=-1).tolist()) if strict else ()
    return _Watched(point, replace(trace, memory=()), before if strict else max(before, after), follows)


def _known(point: Point) -> tuple[int, ...]:
    """The tokens of a point, and the reference's behind them that a case must go on with."""
    following = point.following[:FOLLOWING]
    return (*point.token_ids, point.target, *following[:-1]) if following else point.token_ids


def _shortest(points: Sequence[Point]) -> list[Point]:
    """Of points in order of length, the first ones that fit."""
    totals = accumulate(len(point.token_ids) for point in points)
    fitting = sum(1 for _ in takewhile(lambda total: total <= MOST_TOKENS // 2, totals))
    return list(points[: max(fitting, 1)])
