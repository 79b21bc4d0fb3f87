"""What a slice's comparisons say together: robustness, compliance, intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.outcomes.transitions import TransitionCounts, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.outcomes.model import Comparison, Outcome


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval of a rate; both ends are shares in [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Statistics of one slice and candidate by METRICS.md; None where a value is undefined, never 0.

    Attributes:
        counts: Scored cases by transition.
        unscored: Cases that reference or candidate left unscored; they enter nothing else here.
        robustness: R, with the mean violation rate over all unstable cases (PF and FP).
        robustness_degraded: R with the mean over PF cases only, as in the paper's worked numbers;
            undefined when cases improved and none degraded.
        partial_compliance: Mean over PF cases of the share of checks that the candidate still follows.
        pattern_stability: Share of cases whose whole vector of check results is unchanged.
        reference_compliance: Share of all checks that the reference followed.
        candidate_compliance: Share of all checks that the candidate followed.
    """

    counts: TransitionCounts
    unscored: int
    robustness: float | None
    robustness_degraded: float | None
    partial_compliance: float | None
    pattern_stability: float | None
    reference_compliance: float | None
    candidate_compliance: float | None


def summarize(comparisons: Iterable[Comparison]) -> SliceStatistics:
    """Compute every statistic of one slice and candidate; the order of the cases does not matter."""
    everything = tuple(comparisons)
    scored = [each for each in everything if each.transition is not Transition.UNSCORED]
    counts = count(scored)
    degraded = _violation_rates(scored, Transition.DEGRADED)
    unstable = degraded + _violation_rates(scored, Transition.IMPROVED)
    reference = [_pattern(each.reference) for each in scored]
    candidate = [_pattern(each.candidate) for each in scored]
    return SliceStatistics(
        counts=counts,
        unscored=len(everything) - len(scored),
        robustness=robustness_coefficient(counts.stability, _mean(unstable)),
        robustness_degraded=robustness_coefficient(counts.stability, _mean(degraded)),
        partial_compliance=1 - fmean(degraded) if degraded else None,
        pattern_stability=_mean([before == after for before, after in zip(reference, candidate, strict=True)]),
        reference_compliance=_mean(list(chain.from_iterable(reference))),
        candidate_compliance=_mean(list(chain.from_iterable(candidate))),
    )


def violation_rate(outcome: Outcome) -> float:
    """Share of its checks that a scored outcome violates."""
    return fmean(not result.followed for result in outcome.results)


def robustness_coefficient(stability: float | None, mean_violation: float | None) -> float | None:
    """R = P_stable + (1 - v̄) * P_unstable, in [0, 1].

    Args:
        stability: P_stable, the share of cases that did not change; None for no cases.
        mean_violation: v̄, the mean violation rate over unstable cases; None for no such case.

    Returns:
        1 when nothing is unstable; None when there are no cases, or when cases are unstable but v̄ has
        nothing to average.
    """
    if stability is None:
        return None
    if stability == 1:
        return 1.0
    if mean_violation is None:
        return None
    # equal to the definition since P_stable + P_unstable = 1, and never above 1 by rounding
    return 1 - mean_violation * (1 - stability)


def wilson(k: int, n: int, confidence: float = 0.95) -> Interval | None:
    """Wilson score interval of a rate, two-sided, without continuity correction.

    Args:
        k: Cases counted, 0 to n.
        n: All cases.
        confidence: Coverage, between 0 and 1.

    Returns:
        The interval; None when n is 0, because nothing was observed.
    """
    if n == 0:
        return None
    from scipy.stats import binomtest  # takes a second to import: only when a gate is judged

    interval = binomtest(k, n).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def _violation_rates(comparisons: Iterable[Comparison], transition: Transition) -> list[float]:
    return [violation_rate(each.candidate) for each in comparisons if each.transition is transition]


def _pattern(outcome: Outcome) -> tuple[bool, ...]:
    return tuple(result.followed is True for result in outcome.results)


def _mean(values: Sequence[float]) -> float | None:
    # fmean sums exactly, so the order of the cases cannot show in the last digit
    return fmean(values) if values else None
