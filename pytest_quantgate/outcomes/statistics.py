"""What a slice's comparisons say together: rates, robustness, compliance, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from math import fsum
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.bootstrap import ratio_interval
from pytest_quantgate.outcomes.clusters import Reliability, change_of, design_effect, groups_of, reliability, share_of
from pytest_quantgate.outcomes.intervals import Estimate, Interval
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.outcomes.significance import mcnemar_exact
from pytest_quantgate.outcomes.transitions import TransitionCounts, count
from pytest_quantgate.outcomes.values import loss_values, pass_to_fail_values, scored_of, violation_rate

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pytest_quantgate.outcomes.model import Comparison, Outcome

NOTHING_SCORED = "no case is scored"


@dataclass(frozen=True, slots=True)
class SliceStatistics:
    """Statistics of one slice and candidate by METRICS.md, over its scored cases.

    An estimate is undefined, with its reason, where there is nothing to divide by; never 0. Where cases share
    clusters, intervals rest on the effective number of cases or resample whole clusters.

    Attributes:
        counts: Scored cases by transition.
        unscored: Cases that reference or candidate left unscored; they enter nothing else here but `reliability`.
        stability: (PP + FF) / n.
        pass_to_fail: PF / n.
        loss: PF / (PP + PF); undefined when the reference passes nothing.
        net_change: (FP - PF) / n, in [-1, 1], with Newcombe's paired interval.
        robustness: R, with the mean violation rate over all unstable cases (PF and FP).
        robustness_degraded: R with the mean over PF cases only, as in the paper's worked numbers;
            undefined when cases improved and none degraded.
        partial_compliance: Mean over PF cases of the share of checks that the candidate still follows.
        pattern_stability: Share of cases whose whole vector of check results is unchanged.
        reference_pass: (PP + PF) / n.
        candidate_pass: (PP + FP) / n.
        reference_compliance: Share of all checks that the reference followed.
        candidate_compliance: Share of all checks that the candidate followed.
        mcnemar: Two-sided exact p-value of PF against FP at 1:1; it takes every case as drawn alone.
        design_effect: How many times as many cases the PASS→FAIL rate needs because some share a cluster; 1 without
            clusters.
        reliability: The same cases by cluster; None when no cluster has two.
    """

    counts: TransitionCounts
    unscored: int
    stability: Estimate
    pass_to_fail: Estimate
    loss: Estimate
    net_change: Estimate
    robustness: Estimate
    robustness_degraded: Estimate
    partial_compliance: Estimate
    pattern_stability: Estimate
    reference_pass: Estimate
    candidate_pass: Estimate
    reference_compliance: Estimate
    candidate_compliance: Estimate
    mcnemar: float
    design_effect: float
    reliability: Reliability | None


def summarize(comparisons: Iterable[Comparison], *, resample: bool = True) -> SliceStatistics:
    """Compute every statistic of one slice and candidate; the order of the cases does not matter.

    Args:
        comparisons: The cases.
        resample: Whether R, partial compliance and the compliances get their BCa intervals, which cost some
            milliseconds; without, the Wilson interval of the mean takes their place.
    """
    everything = tuple(comparisons)
    scored = scored_of(everything)
    counts = count(scored)
    groups = groups_of(scored)
    before = [float(each.reference.passed is True) for each in scored]
    after = [float(each.candidate.passed is True) for each in scored]
    pass_to_fail = pass_to_fail_values(scored)
    passing = [place for place, each in enumerate(scored) if each.reference.passed]
    old_patterns, new_patterns = (
        [_pattern(each.reference) for each in scored],
        [_pattern(each.candidate) for each in scored],
    )

    robustness = _robustness(loss_values(scored), groups, resample=resample)

    def share(values: Sequence[float]) -> Estimate:
        return share_of(values, groups, NOTHING_SCORED)

    return SliceStatistics(
        counts=counts,
        unscored=len(everything) - len(scored),
        stability=share([old == new for old, new in zip(before, after, strict=True)]),
        pass_to_fail=share(pass_to_fail),
        loss=share_of(
            [pass_to_fail[place] for place in passing],
            [groups[place] for place in passing],
            "the reference passes no case" if scored else NOTHING_SCORED,
        ),
        net_change=change_of(before, after, groups, NOTHING_SCORED),
        robustness=robustness,
        robustness_degraded=_robustness_degraded(scored, groups, resample=resample) if counts.fp else robustness,
        partial_compliance=_partial_compliance(scored, groups, resample=resample),
        pattern_stability=share([old == new for old, new in zip(old_patterns, new_patterns, strict=True)]),
        reference_pass=share(before),
        candidate_pass=share(after),
        reference_compliance=_compliance(old_patterns, groups, resample=resample),
        candidate_compliance=_compliance(new_patterns, groups, resample=resample),
        mcnemar=mcnemar_exact(counts.pf, counts.fp),
        design_effect=design_effect(pass_to_fail, groups),
        reliability=reliability(everything),
    )


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


def _robustness(losses: Sequence[float], groups: Sequence[Hashable], *, resample: bool) -> Estimate:
    """R as 1 less the mean loss."""
    loss = share_of(losses, groups, NOTHING_SCORED)
    if loss.value is None or loss.interval is None:
        return loss
    interval = _resampled(losses, groups, resample=resample) or loss.interval
    return Estimate(1 - loss.value, _complement(interval))


def _robustness_degraded(scored: Sequence[Comparison], groups: Sequence[Hashable], *, resample: bool) -> Estimate:
    """R with v̄ over PF cases only, where there are improved cases; without them it is R.

    Its loss is v̄ * (PF + FP) / n, where v̄ is a ratio itself. The interval is that of the mean of the loss's
    linearization at the measured counts: the same value and, to first order, the same spread.
    """
    counts = count(scored)
    losses = loss_values(scored)
    if not counts.pf:
        return Estimate(None, undefined="cases improved and none degraded: no violation rate to average")
    mean_violation = fsum(losses) / counts.pf
    stretch = counts.fp / counts.pf
    values = [0.0] * len(scored)
    for place, each in enumerate(scored):
        if each.transition is Transition.DEGRADED:
            values[place] = losses[place] + (losses[place] - mean_violation) * stretch
        elif each.transition is Transition.IMPROVED:
            values[place] = mean_violation
    interval = _resampled(values, groups, resample=resample)
    value = robustness_coefficient(counts.stability, mean_violation)
    return Estimate(value, interval and _complement(interval))


def _partial_compliance(scored: Sequence[Comparison], groups: Sequence[Hashable], *, resample: bool) -> Estimate:
    degraded = [place for place, each in enumerate(scored) if each.transition is Transition.DEGRADED]
    kept = [1 - violation_rate(scored[place].candidate) for place in degraded]
    theirs = [groups[place] for place in degraded]
    found = share_of(kept, theirs, "no case degraded" if scored else NOTHING_SCORED)
    return replace(found, interval=_resampled(kept, theirs, resample=resample) or found.interval)


def _compliance(patterns: Sequence[tuple[bool, ...]], groups: Sequence[Hashable], *, resample: bool) -> Estimate:
    """Share of all checks that are followed; the checks of a case are drawn together."""
    spread = [group for pattern, group in zip(patterns, groups, strict=True) for _ in pattern]
    found = share_of(list(chain.from_iterable(patterns)), spread, NOTHING_SCORED)
    if found.value is None or not resample:
        return found
    interval = ratio_interval([sum(pattern) for pattern in patterns], [len(pattern) for pattern in patterns], groups)
    return replace(found, interval=interval or found.interval)


def _resampled(values: Sequence[float], groups: Sequence[Hashable], *, resample: bool) -> Interval | None:
    """BCa interval of a mean; None where there is none, or none is wanted."""
    return ratio_interval(values, [1.0] * len(values), groups) if resample else None


def _complement(interval: Interval) -> Interval:
    """The interval of 1 less a share, kept within [0, 1]."""
    return replace(interval, low=max(0.0, 1 - interval.high), high=min(1.0, 1 - interval.low))


def _pattern(outcome: Outcome) -> tuple[bool, ...]:
    return tuple(result.followed is True for result in outcome.results)
