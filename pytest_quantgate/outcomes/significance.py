"""Hypothesis tests: one-sided tests of a limit, and tests between two runs or models."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, erfc, fsum, sqrt
from statistics import fmean
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.bootstrap import group_totals
from pytest_quantgate.outcomes.intervals import refuse_impossible
from pytest_quantgate.outcomes.special import bdtr, betainc, betaincc, stdtr

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

_ROUNDING: Final = 1e-12  # relative: differences nearer to each other do not vary


@dataclass(frozen=True, slots=True)
class ZTest:
    """Pooled two-proportion z-test, two-sided.

    Attributes:
        z: Positive where the first share is the larger one.
        p: Two-sided p-value.
    """

    z: float
    p: float


@dataclass(frozen=True, slots=True)
class RankTest:
    """Mann-Whitney U of two samples, two-sided, with two effect sizes.

    Attributes:
        u: U of the first sample: pairs in which it has the larger value, ties counting half.
        p: Two-sided p-value: exact for small samples without ties, else normal with corrections.
        rank_biserial: 2u / (n1 n2) - 1, in [-1, 1]; positive where the first sample tends to be larger.
        cohens_d: Difference of the means over the pooled standard deviation; None where nothing varies.
    """

    u: float
    p: float
    rank_biserial: float
    cohens_d: float | None


def p_at_most(k: float, n: float, limit: float) -> float:
    """p-value of "the share is at most the limit": small when k of n shows that it is above.

    The exact binomial tail P(X ≥ k) = I_limit(k, n - k + 1), which the incomplete beta function continues to
    real k and n; it is the lower end of Clopper & Pearson's interval turned into a test.

    Args:
        k: What was counted, 0 to n; for values between 0 and 1 their sum, which varies no more than a count.
        n: Cases, or what they are worth where some share a cluster.
        limit: The share that must not be exceeded.

    Returns:
        The p-value; 1 when nothing was counted.

    Raises:
        ValueError: k is not in [0, n].
    """
    refuse_impossible(k, n)
    if k == 0 or limit >= 1:
        return 1.0
    if limit <= 0:
        return 0.0
    return betainc(k, n - k + 1, limit)


def p_at_least(k: float, n: float, limit: float) -> float:
    """p-value of "the share is at least the limit": small when k of n shows that it is below.

    P(X ≤ k) = 1 - I_limit(k + 1, n - k), continued like `p_at_most`.

    Args:
        k: What was counted, 0 to n; for values between 0 and 1 their sum.
        n: Cases, or what they are worth where some share a cluster.
        limit: The share that must be reached.

    Returns:
        The p-value; 1 when all were counted.

    Raises:
        ValueError: k is not in [0, n].
    """
    refuse_impossible(k, n)
    if k == n or limit <= 0:
        return 1.0
    if limit >= 1:
        return 0.0
    return betaincc(k + 1, n - k, limit)


def p_ratio_at_most(
    numerators: Sequence[float], denominators: Sequence[float], groups: Sequence[Hashable], limit: float
) -> float | None:
    """p-value of "the ratio of means is at most the limit": Fieller's t-test over groups.

    The ratio is at most r exactly when the mean of numerator - r · denominator is at most 0 (Fieller 1954), and that is
    a one-sample t-test over the groups' sums.

    Args:
        numerators: One per case.
        denominators: One per case.
        groups: What each case shares with others; whole groups are the sample.
        limit: The ratio that must not be exceeded.

    Returns:
        The p-value; None for fewer than two groups, denominators that do not add up to more than 0, or
        differences that do not vary.
    """
    t, freedom = _fieller(numerators, denominators, groups, limit)
    return None if t is None else _student(-t, freedom)


def p_ratio_at_least(
    numerators: Sequence[float], denominators: Sequence[float], groups: Sequence[Hashable], limit: float
) -> float | None:
    """p-value of "the ratio of means is at least the limit": Fieller's t-test over groups, as `p_ratio_at_most`."""
    t, freedom = _fieller(numerators, denominators, groups, limit)
    return None if t is None else _student(t, freedom)


def binomial_exact(k: int, n: int, share: float = 0.5) -> float:
    """Two-sided exact binomial test: all counts that are no more likely than k; 1.0 when n is 0."""
    if n == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(k, n, share).pvalue)


def mcnemar_exact(pf: int, fp: int) -> float:
    """Two-sided exact McNemar test: the exact binomial test of PF against FP at 1:1.

    At 1:1 the distribution is symmetric, and both tails are twice the smaller one; 1.0 when no case changed.
    """
    return min(1.0, 2 * bdtr(min(pf, fp), pf + fp, 0.5))  # scipy.stats takes a second to import


def two_proportion_z(k1: int, n1: int, k2: int, n2: int) -> ZTest | None:
    """Pooled two-proportion z-test of k1/n1 against k2/n2; None when a sample is empty or nothing varies."""
    refuse_impossible(k1, n1)
    refuse_impossible(k2, n2)
    if not (n1 and n2 and 0 < k1 + k2 < n1 + n2):
        return None
    pooled = (k1 + k2) / (n1 + n2)
    z = (k1 / n1 - k2 / n2) / sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return ZTest(z, erfc(abs(z) / sqrt(2)))


def cohens_h(first: float, second: float) -> float:
    """Cohen's h of two shares: 2 arcsin √first - 2 arcsin √second (Cohen 1988, section 6.2)."""
    return 2 * (asin(sqrt(first)) - asin(sqrt(second)))


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> RankTest | None:
    """Mann-Whitney U of two independent samples; None when one is empty."""
    if not (first and second):
        return None
    from scipy.stats import mannwhitneyu

    d = _cohens_d(first, second)
    if len({*first, *second}) == 1:  # the normal approximation has no variance to divide by
        return RankTest(len(first) * len(second) / 2, 1.0, 0.0, d)
    found = mannwhitneyu(first, second, alternative="two-sided")
    u = float(found.statistic)
    return RankTest(u, float(found.pvalue), 2 * u / (len(first) * len(second)) - 1, d)


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """Bonferroni-adjusted p-values, in the same order: each times their number, at most 1."""
    return tuple(min(1.0, p * len(p_values)) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm-adjusted p-values (Holm 1979), in the same order.

    The smallest is multiplied by their number, the next by one less, and so on; none falls below one before it.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(order) - rank)))
        adjusted[index] = largest
    return tuple(adjusted)


def _fieller(
    numerators: Sequence[float], denominators: Sequence[float], groups: Sequence[Hashable], limit: float
) -> tuple[float | None, int]:
    """Student's t of numerator - limit · denominator over groups, None when undefined, and its degrees of freedom."""
    totals = group_totals(numerators, denominators, groups)
    count = len(totals)
    if count < 2 or fsum(bottom for _, bottom in totals) <= 0:  # noqa: PLR2004  (a variance needs two)
        return None, 0
    rests = [top - limit * bottom for top, bottom in totals]
    mean = fmean(rests)
    spread = fsum((rest - mean) ** 2 for rest in rests)
    noise = _ROUNDING * max(abs(top) + abs(limit * bottom) for top, bottom in totals)
    return (mean / sqrt(spread / (count - 1) / count) if spread > count * noise**2 else None), count - 1


def _student(t: float, freedom: int) -> float:
    """P(T ≤ t) of Student's distribution."""
    return stdtr(freedom, t)


def _cohens_d(first: Sequence[float], second: Sequence[float]) -> float | None:
    one, other = fmean(first), fmean(second)
    squares = fsum((each - one) ** 2 for each in first) + fsum((each - other) ** 2 for each in second)
    freedom = len(first) + len(second) - 2
    return (one - other) / sqrt(squares / freedom) if freedom > 0 and squares > 0 else None
