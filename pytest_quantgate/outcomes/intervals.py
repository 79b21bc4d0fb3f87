"""Confidence intervals of shares and of their differences; two-sided, frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, hypot, isnan, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.outcomes.special import betainccinv, betaincinv

if TYPE_CHECKING:
    from collections.abc import Sequence

Method = Literal["Wilson", "Clopper-Pearson", "Newcombe", "BCa bootstrap", "asymptotic"]

CONFIDENCE: Final = 0.95
"""Coverage of every interval that is printed or written, two-sided."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        method: How it was computed.
    """

    low: float
    high: float
    method: Method = "Wilson"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One measured value.

    Attributes:
        value: The value; None where it is undefined, never 0 in its place.
        interval: Its 95% interval; None where there is none.
        undefined: Why there is no value; None when there is one.
    """

    value: float | None
    interval: Interval | None = None
    undefined: str | None = None


@dataclass(frozen=True, slots=True)
class PairedMeans:
    """What a difference of two means over the same cases rests on, for Newcombe's method 10.

    Attributes:
        first: Mean of the first values, in [0, 1].
        second: Mean of the second values, in [0, 1].
        correlation: φ, corrected for continuity.
        n: Cases, or what they are worth where some share a cluster; above 0.
    """

    first: float
    second: float
    correlation: float
    n: float

    @property
    def difference(self) -> float:
        """The measured difference, first minus second."""
        return self.first - self.second

    def low(self, z: float) -> float:
        """The lower end, at a quantile of the normal distribution of at least 0."""
        below = self.first - _score(self.first, self.n, z)[0]
        above = _score(self.second, self.n, z)[1] - self.second
        return max(-1.0, self.difference - square_and_add(below, above, self.correlation))

    def high(self, z: float) -> float:
        """The upper end, at a quantile of the normal distribution of at least 0."""
        above = _score(self.first, self.n, z)[1] - self.first
        below = self.second - _score(self.second, self.n, z)[0]
        return min(1.0, self.difference + square_and_add(above, below, self.correlation))


def square_and_add(one: float, other: float, correlation: float) -> float:
    """How far the end of an interval of a difference lies from it, by how far those of its two means do."""
    # never negative but for rounding, since the correlation is in [-1, 1]
    return sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def wilson(k: float, n: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Wilson score interval of a share, without continuity correction (Wilson 1927; Newcombe 1998a, method 3).

    Args:
        k: What was counted, 0 to n; a sum of values in [0, 1] may stand here.
        n: Cases, or what they are worth where some share a cluster.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The interval; None when n is 0, because nothing was observed.

    Raises:
        ValueError: k is not in [0, n].
    """
    refuse_impossible(k, n)
    if n == 0:
        return None
    low, high = _score(k / n, n, _quantile(confidence))
    return Interval(low, high)


def clopper_pearson(k: float, n: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Exact interval of a share (Clopper & Pearson 1934), by the beta distribution.

    Args:
        k: What was counted, 0 to n; real numbers as in Korn & Graubard (1998), who put effective sizes here.
        n: Cases, or what they are worth where some share a cluster.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The interval; None when n is 0, because nothing was observed.

    Raises:
        ValueError: k is not in [0, n].
    """
    refuse_impossible(k, n)
    if n == 0:
        return None
    return Interval(*exact_limits(k, n, (1 - confidence) / 2), "Clopper-Pearson")


def exact_limits(k: float, n: float, level: float) -> tuple[float, float]:
    """Both one-sided limits of Clopper & Pearson, each at a level; n is above 0."""
    low = betaincinv(k, n - k + 1, level) if k > 0 else 0.0
    high = betainccinv(k + 1, n - k, level) if k < n else 1.0
    return 0.0 if isnan(low) else low, 1.0 if isnan(high) else high  # scipy finds none at the smallest levels


def newcombe_paired(
    first: Sequence[float],
    second: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    effective: float | None = None,
    weights: Sequence[float] = (),
) -> Interval | None:
    """Interval of mean(first) - mean(second), both seen on the same cases (Newcombe 1998b, method 10).

    Squares and adds the distances of the two Wilson limits, less what the correlation takes away.

    Args:
        first: Values in [0, 1], one per case.
        second: Values in [0, 1] of the same cases in the same order.
        confidence: Two-sided coverage, between 0 and 1.
        effective: What the cases are worth where some share a cluster, or weigh more than others; their number when
            None.
        weights: How many cases each stands for; none where each stands for itself.

    Returns:
        The interval; None without a case.

    Raises:
        ValueError: The two differ in length.
    """
    means = paired_means(first, second, effective=effective, weights=weights)
    if means is None:
        return None
    z = _quantile(confidence)
    return Interval(means.low(z), means.high(z), "Newcombe")


def newcombe_independent(k1: float, n1: float, k2: float, n2: float, confidence: float = CONFIDENCE) -> Interval | None:
    """Interval of the difference k1/n1 - k2/n2 of two shares seen on different cases (Newcombe 1998c, method 10).

    Args:
        k1: What was counted in the first sample, 0 to n1.
        n1: Cases of the first sample.
        k2: What was counted in the second sample, 0 to n2.
        n2: Cases of the second sample.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The interval; None when a sample is empty.

    Raises:
        ValueError: A count is not in [0, n].
    """
    one, other = wilson(k1, n1, confidence), wilson(k2, n2, confidence)
    if one is None or other is None:
        return None
    p1, p2 = k1 / n1, k2 / n2
    low = p1 - p2 - hypot(p1 - one.low, other.high - p2)
    high = p1 - p2 + hypot(one.high - p1, p2 - other.low)
    return Interval(max(-1.0, low), min(1.0, high), "Newcombe")


def paired_means(
    first: Sequence[float],
    second: Sequence[float],
    *,
    effective: float | None = None,
    weights: Sequence[float] = (),
) -> PairedMeans | None:
    """Means and corrected correlation of values in [0, 1] seen on the same cases; None without a case.

    φ is the covariance over what two shares of these means would vary by. For values of 0 and 1 that is Newcombe's
    φ; for others it is nearer to 0, and the squared width stays above what the differences really vary by.
    """
    n = len(first)
    products = [one * other for one, other in zip(first, second, strict=True)]
    if n == 0:
        return None
    p1, p2, both = (mean_of(values, weights) for values in (first, second, products))
    size = n if effective is None else effective
    shared = both - p1 * p2
    if shared > 0:
        shared = max(0.0, shared - 1 / (2 * size))  # the continuity correction n/2 of ad - bc, over n²
    spread = sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    correlation = min(1.0, max(-1.0, shared / spread)) if spread > 0 else 0.0
    return PairedMeans(p1, p2, correlation, size)


def mean_of(values: Sequence[float], weights: Sequence[float] = ()) -> float:
    """The mean of at least one value; with weights, of all the cases that the values stand for."""
    if not weights:
        return fsum(values) / len(values)
    return fsum(weight * value for weight, value in zip(weights, values, strict=True)) / fsum(weights)


def refuse_impossible(k: float, n: float) -> None:
    """Refuse a count that is no part of n cases, and NaN.

    Raises:
        ValueError: k is not in [0, n].
    """
    if not 0 <= k <= n:
        msg = f"{k} of {n} is no share"
        raise ValueError(msg)


def _score(share: float, n: float, z: float) -> tuple[float, float]:
    """Both Wilson limits; rounding can neither leave [0, 1] nor lose the share."""
    middle = share + z * z / (2 * n)
    half = z * sqrt((share * (1 - share) + z * z / (4 * n)) / n)
    whole = 1 + z * z / n
    low = (middle - half) / whole if share > 0 else 0.0
    high = (middle + half) / whole if share < 1 else 1.0
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
