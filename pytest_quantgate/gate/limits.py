"""What was measured against one limit, and what it proves: pure functions of per-case values.

Each kind of measure answers the same four questions: what was measured, how well does that speak against "the limit is
kept" and against "the limit is crossed", where do the one-sided bounds lie, and how many cases would decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, fsum, inf, isfinite
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Final, TypeAlias

from pytest_quantgate.cases.model import LARGEST_RATIO
from pytest_quantgate.gate.binomial import ROUNDING, cases_to_decide
from pytest_quantgate.outcomes.bootstrap import ratio_interval
from pytest_quantgate.outcomes.changes import Change, change_between
from pytest_quantgate.outcomes.clusters import design_effect, kish
from pytest_quantgate.outcomes.intervals import CONFIDENCE, Interval, exact_limits, mean_of, newcombe_paired, wilson
from pytest_quantgate.outcomes.significance import (
    p_at_least,
    p_at_most,
    p_ratio_at_least,
    p_ratio_at_most,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Share:
    """The mean of values in [0, 1] against an upper limit: exact binomial tests, over the effective number of cases.

    Attributes:
        values: One per case; at least one.
        groups: What each case shares with others.
        bound: The limit, in [0, 1]; 1 tolerates everything.
        weights: How many others each value stands for; none where each stands for itself.
    """

    values: Sequence[float]
    groups: Sequence[Hashable]
    bound: float
    weights: Sequence[float] = ()

    @property
    def value(self) -> float:
        """The mean."""
        return min(1.0, mean_of(self.values, self.weights))

    @property
    def cases(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def effective(self) -> float:
        """Cases over the design effect (Kish; Korn & Graubard 1998 put it into Clopper & Pearson's interval)."""
        size = kish(self.weights) if self.weights else self.cases
        return size / design_effect(self.values, self.groups)

    def interval(self, confidence: float = CONFIDENCE) -> Interval | None:
        """Wilson's interval."""
        return wilson(*self._counted(), confidence)

    def exact(self, level: float) -> tuple[float, float]:
        """The one-sided bounds that belong to the tests, each at this level."""
        return exact_limits(*self._counted(), level)

    def p_above(self) -> float:
        """P(X ≥ k) at the limit."""
        return 1.0 if self.bound >= 1 else p_at_most(*self._counted(), self.bound)

    def p_below(self) -> float:
        """P(X ≤ k) at the limit."""
        return 0.0 if self.bound >= 1 else p_at_least(*self._counted(), self.bound)

    def beyond(self) -> bool:
        """Whether the mean is above the limit."""
        return self.value > self.bound + ROUNDING

    def needed(self, level: float) -> int | None:
        """Exact: the smallest number of cases that the tail allows, times the design effect."""
        alone = cases_to_decide(self.value, self.bound, level)
        return None if alone is None else ceil(alone * self.cases / self.effective - ROUNDING)

    def _counted(self) -> tuple[float, float]:
        effective = self.effective
        counted = self.value * effective if self.weights else fsum(self.values) * effective / self.cases
        return min(counted, effective), effective


@dataclass(frozen=True, slots=True)
class Difference:
    """mean(first) - mean(second) over the same cases against an upper limit: tests of what rose and what fell.

    Attributes:
        first: Values in [0, 1], one per case; at least one.
        second: Values in [0, 1] of the same cases.
        groups: What each case shares with others.
        bound: The limit, in [0, 1]; 1 tolerates everything.
        both_ways: Whether a decrease is limited as much as an increase.
    """

    first: Sequence[float]
    second: Sequence[float]
    groups: Sequence[Hashable]
    bound: float
    both_ways: bool = False

    @property
    def value(self) -> float:
        """The difference of the means."""
        return fmean(self.first) - fmean(self.second)

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.first)

    @property
    def effective(self) -> float:
        """Cases over the design effect of the differences."""
        changes = [one - other for one, other in zip(self.first, self.second, strict=True)]
        return self.cases / design_effect(changes, self.groups)

    def interval(self, confidence: float = CONFIDENCE) -> Interval | None:
        """Newcombe's interval of a paired difference."""
        return newcombe_paired(self.first, self.second, confidence, effective=self.effective)

    def change(self) -> Change:
        """What its tests and their one-sided bounds rest on."""
        return change_between(self.first, self.second, effective=self.effective)

    def p_above(self) -> float:
        """Of the one test; of a limit both ways twice the smaller of both."""
        if self.bound >= 1:
            return 1.0
        change = self.change()
        above = change.p_at_most(self.bound)
        return min(1.0, 2 * min(above, change.p_at_least(-self.bound))) if self.both_ways else above

    def p_below(self) -> float:
        """Of the one test; of a limit both ways the larger of both (two one-sided tests)."""
        if self.bound >= 1:
            return 0.0
        change = self.change()
        below = change.p_at_least(self.bound)
        return max(below, change.p_at_most(-self.bound)) if self.both_ways else below

    def beyond(self) -> bool:
        """Whether the difference is above the limit, or below its negative where both ways are limited."""
        return (abs(self.value) if self.both_ways else self.value) > self.bound + ROUNDING

    def needed(self, level: float) -> int | None:
        """By the width of the interval; beyond a limit both ways each way has half of the level."""
        return self.excluding(level / 2 if self.both_ways and self.beyond() else level)

    def excluding(self, level: float) -> int | None:
        """Cases at which the one-sided bound at this level would exclude the limit that lies nearer.

        The width of the interval shrinks with the root of the number of cases.
        """
        value, (low, high) = self.value, one_sided(self, level)
        if self.both_ways and value < 0:  # the limit that is near lies below zero: seen from there, all is mirrored
            value, low, high = -value, -high, -low
        return _scaled(self.cases, value, self.bound - value, (low, high))


@dataclass(frozen=True, slots=True)
class Ratio:
    """sum(first) / sum(second) over the same cases against an upper limit: Fieller's t-test over groups.

    Attributes:
        first: Numerators, one per case.
        second: Denominators, which add up to more than 0.
        groups: What each case shares with others.
        bound: The limit, above 0.
    """

    first: Sequence[float]
    second: Sequence[float]
    groups: Sequence[Hashable]
    bound: float

    @property
    def value(self) -> float:
        """The ratio of the means."""
        return fsum(self.first) / fsum(self.second)

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.first)

    @property
    def effective(self) -> float:
        """Number of groups: they are the sample."""
        return float(len(set(self.groups)))

    def interval(self, confidence: float = CONFIDENCE) -> Interval | None:
        """BCa interval, whole groups resampled."""
        return ratio_interval(self.first, self.second, self.groups, confidence)

    def p_above(self) -> float:
        """Of the t-test."""
        return self.tests(self.bound)[0]

    def p_below(self) -> float:
        """Of the t-test."""
        return self.tests(self.bound)[1]

    def tests(self, limit: float) -> tuple[float, float]:
        """p-values of "at most" and of "at least" a limit; where nothing varies, of a sign test over the groups."""
        at_most = p_ratio_at_most(self.first, self.second, self.groups, limit)
        at_least = p_ratio_at_least(self.first, self.second, self.groups, limit)
        if at_most is not None and at_least is not None:
            return at_most, at_least
        sign = 0.5**self.effective
        above = self.value - limit
        return (sign if above > ROUNDING else 1.0), (sign if above < -ROUNDING else 1.0)

    def beyond(self) -> bool:
        """Whether the ratio is above the limit."""
        return self.value > self.bound * (1 + ROUNDING)

    def needed(self, level: float) -> int | None:
        """By the width of the interval that inverts the test."""
        return _scaled(self.cases, self.value, self.bound - self.value, one_sided(self, level))


Measure: TypeAlias = Share | Difference | Ratio
"""What was measured against an upper limit."""


def one_sided(measure: Measure, level: float) -> tuple[float, float]:
    """The lower and the upper one-sided bound at a level, as the tests of the measure have them."""
    if isinstance(measure, Share):
        return measure.exact(level)
    if isinstance(measure, Difference):
        change = measure.change()
        return change.low(level), change.high(level)
    return _fieller(measure, level)


def wilson_cases(measure: Measure | None, level: float) -> int | None:
    """Cases at which the two-sided interval with this much beyond each end would exclude the limit.

    Wilson's interval is the inverted score test: it excludes a threshold t exactly when (rate - t)² > z² t (1 - t) / n.
    """
    if isinstance(measure, Difference):
        return measure.excluding(level)
    if not isinstance(measure, Share):
        return None if measure is None else measure.needed(level)
    if abs(measure.value - measure.bound) <= ROUNDING:
        return None
    z = NormalDist().inv_cdf(1 - level)
    alone = z**2 * measure.bound * (1 - measure.bound) / (measure.value - measure.bound) ** 2
    return floor(alone * measure.cases / measure.effective) + 1


def _fieller(ratio: Ratio, level: float) -> tuple[float, float]:
    """Where the tests of a ratio would turn, by halving."""

    def kept(limit: float) -> bool:
        return ratio.tests(limit)[0] > level

    def crossed(limit: float) -> bool:
        return ratio.tests(limit)[1] > level

    # what is refuted need not end on one side: ask the limit first, so that no bound contradicts its verdict
    least = 0.0 if kept(ratio.bound) else ratio.bound
    most = LARGEST_RATIO if crossed(ratio.bound) else ratio.bound
    low = 0.0 if kept(least) else _turn(least, ratio.value, lambda limit: not kept(limit))
    high = inf if crossed(most) else _turn(ratio.value, most, crossed)
    return low, high


def _turn(near: float, far: float, holds: Callable[[float], bool]) -> float:
    """Where a condition that holds at ``near`` and not at ``far`` ends."""
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if holds(middle) else (near, middle)
    return (near + far) / 2


def _scaled(cases: int, value: float, distance: float, bounds: tuple[float, float]) -> int | None:
    """Cases at which the one-sided bound toward the limit would reach no farther than the limit."""
    if abs(distance) <= ROUNDING:
        return None
    reach = bounds[1] - value if distance > 0 else value - bounds[0]
    return ceil(cases * (reach / distance) ** 2) if isfinite(reach) else None
