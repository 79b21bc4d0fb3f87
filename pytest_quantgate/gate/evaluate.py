"""From the comparisons of one slice and candidate to a verdict with its reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from math import floor
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_quantgate.gate.wording import given, measured, percent, percent_limit, percent_range
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.outcomes.statistics import summarize, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.outcomes.statistics import Interval, SliceStatistics

CONFIDENCE = 0.95
"""Coverage of the interval that is printed with every PASS→FAIL rate, two-sided."""

ROUNDING = 1e-9
"""What a value may lie beyond its limit and still count as equal: the noise of float arithmetic."""


class Verdict(Enum):
    """What a gate says; the values appear in RunReports."""

    PASS = "PASS"  # noqa: S105  (a verdict, not a secret)
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate of one slice and candidate.

    Attributes:
        slice: Name of the slice.
        candidate: Spec of the candidate.
        verdict: PASS, FAIL or INCONCLUSIVE.
        reasons: Why, at least one, without a closing full stop. For PASS and FAIL what was measured
            against which limit (for FAIL: the limits that were crossed); for INCONCLUSIVE every reason
            that applies.
        partial: True when only some of the slice's cases were selected.
        policy: The limits.
        statistics: What was measured.
        interval: 95% Wilson interval of the PASS→FAIL rate; None when nothing is scored.
        cases_to_decide: Scored cases that this interval would need, at the observed rate, to lie wholly
            on one side of ``max_pass_to_fail``. At most the cases there are when it already does; None
            when nothing is scored or the rate equals the limit, which no number of cases can tell apart.
    """

    slice: str
    candidate: str
    verdict: Verdict
    reasons: tuple[str, ...]
    partial: bool
    policy: GatePolicy
    statistics: SliceStatistics
    interval: Interval | None
    cases_to_decide: int | None


def evaluate(
    slice_name: str,
    candidate: str,
    comparisons: Sequence[Comparison],
    policy: GatePolicy,
    *,
    selected: int,
    total: int,
    problem: str | None = None,
) -> GateResult:
    """Judge one slice and candidate by the rule ``point``: a rate beyond its limit fails.

    Nothing that rests on too little is judged: a problem, a partial selection, missing cases, too few
    scored cases, a reference that passes nothing, or too many unscored cases give INCONCLUSIVE.

    Args:
        slice_name: Name of the slice.
        candidate: Spec of the candidate.
        comparisons: The cases that were answered by both sides; fewer than selected when some got lost.
        policy: The limits.
        selected: Cases of the slice that were selected to run.
        total: Cases of the slice.
        problem: What kept the reference or the candidate from answering, such as a model error.
    """
    statistics = summarize(comparisons)
    counts = statistics.counts
    interval = wilson(counts.pf, counts.n, CONFIDENCE)
    reasons = _why_undecided(comparisons, statistics, policy, selected=selected, total=total, problem=problem)
    if reasons:
        verdict = Verdict.INCONCLUSIVE
    else:
        crossed, kept = _against_limits(statistics, policy, interval)
        verdict = Verdict.FAIL if crossed else Verdict.PASS
        reasons = crossed or kept
    return GateResult(
        slice=slice_name,
        candidate=candidate,
        verdict=verdict,
        reasons=tuple(reasons),
        partial=selected < total,
        policy=policy,
        statistics=statistics,
        interval=interval,
        cases_to_decide=_cases_to_decide(counts.pass_to_fail_rate, policy.max_pass_to_fail),
    )


def _why_undecided(
    comparisons: Sequence[Comparison],
    statistics: SliceStatistics,
    policy: GatePolicy,
    *,
    selected: int,
    total: int,
    problem: str | None,
) -> list[str]:
    counts = statistics.counts
    reasons = [problem] if problem is not None else []
    if selected < total:
        reasons.append(f"partial selection: {selected} of {total} cases")
    if problem is not None:
        return reasons  # what is missing is missing because of it
    if len(comparisons) < selected:
        reasons.append(f"missing cases: {selected - len(comparisons)} of {selected} gave no result")
    if counts.n < policy.min_cases:
        reasons.append(f"too few cases: {counts.n} scored, a verdict needs {policy.min_cases}")
    if counts.n and not counts.pp + counts.pf:
        reasons.append(f"the reference passes none of {counts.n} cases, so none could get worse")
    share = statistics.unscored / len(comparisons) if comparisons else 0
    if share > policy.max_unscored + ROUNDING:
        reasons.append(
            f"unscored cases: {statistics.unscored} of {len(comparisons)}"
            f" ({percent(share, limit=policy.max_unscored)}) is above {percent_limit(policy.max_unscored)};"
            f" most often: {_most_frequent_reason(comparisons)}"
        )
    return reasons


def _against_limits(
    statistics: SliceStatistics, policy: GatePolicy, interval: Interval | None
) -> tuple[list[str], list[str]]:
    """Sentences about the limits that are crossed, and about those that are kept."""
    counts, rate, robustness = statistics.counts, statistics.counts.pass_to_fail_rate, statistics.robustness
    if rate is None or robustness is None or interval is None:
        msg = "a verdict was asked for without a scored case"
        raise ValueError(msg)
    crossed: list[str] = []
    kept: list[str] = []
    share = percent(rate, limit=policy.max_pass_to_fail)
    sentence = f"PASS→FAIL {counts.pf} of {counts.n} ({share}, 95% interval {percent_range(interval)})"
    if rate > policy.max_pass_to_fail + ROUNDING:
        crossed.append(f"{sentence} is above {percent_limit(policy.max_pass_to_fail)}")
    else:
        kept.append(f"{sentence} is not above {percent_limit(policy.max_pass_to_fail)}")
    sentence = f"robustness R {measured(robustness, 3, limit=policy.min_robustness)}"
    if robustness < policy.min_robustness - ROUNDING:
        crossed.append(f"{sentence} is below {given(policy.min_robustness, 2)}")
    else:
        kept.append(f"{sentence} is not below {given(policy.min_robustness, 2)}")
    return crossed, kept


def _most_frequent_reason(comparisons: Sequence[Comparison]) -> str:
    sides = [
        each.reference if each.reference.passed is None else each.candidate
        for each in comparisons
        if each.transition is Transition.UNSCORED
    ]
    reasons = Counter(side.unscored or "no reason given" for side in sides)
    # by count, then by text: the order of the cases must not choose
    return min(reasons, key=lambda reason: (-reasons[reason], reason))


def _cases_to_decide(rate: float | None, threshold: float) -> int | None:
    """Smallest n at which the Wilson interval around ``rate`` excludes ``threshold``.

    The Wilson interval is the inverted score test: it excludes a threshold t exactly when
    (rate - t)² > z² t (1 - t) / n.
    """
    if rate is None or abs(rate - threshold) <= ROUNDING:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return floor(z**2 * threshold * (1 - threshold) / (rate - threshold) ** 2) + 1
