"""Why a gate cannot be judged at all, whatever was measured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_quantgate.gate.binomial import ROUNDING
from pytest_quantgate.gate.measures import paired_with_floor
from pytest_quantgate.gate.wording import percent, percent_limit
from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.gate.model import GateInput
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.outcomes.statistics import SliceStatistics


def why_undecided(gate: GateInput, statistics: SliceStatistics) -> list[str]:
    """Every reason that applies; none when the gate can be judged."""
    reasons = [gate.problem] if gate.problem is not None else []
    planned = gate.selected if gate.planned is None else gate.planned
    if planned < gate.total:
        reasons.append(f"partial selection: {planned} of {gate.total} cases")
    if gate.problem is not None:
        return reasons  # what is missing is missing because of it
    comparisons, counts, policy = gate.comparisons, statistics.counts, gate.policy
    if len(comparisons) < gate.selected:
        reasons.append(f"missing cases: {gate.selected - len(comparisons)} of {gate.selected} gave no result")
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
    if gate.floor is not None and counts.n:
        reasons += _about_the_floor(gate, gate.floor, counts.n)
    return reasons


def _about_the_floor(gate: GateInput, floor: Sequence[Comparison], scored: int) -> list[str]:
    """The excess is measured over the cases that are scored in both comparisons."""
    both = len(paired_with_floor(gate.comparisons, floor)[0])
    told = f"noise floor: {scored - both} of {scored} cases were not scored when the reference answered again"
    if both < gate.policy.min_cases <= scored:
        return [f"{told}; {both} are left, a verdict needs {gate.policy.min_cases}"]
    share = (scored - both) / scored
    limit = gate.policy.max_unscored
    if share > limit + ROUNDING:
        return [f"{told} ({percent(share, limit=limit)}), which is above {percent_limit(limit)}"]
    return []


def _most_frequent_reason(comparisons: Sequence[Comparison]) -> str:
    sides = [
        each.reference if each.reference.passed is None else each.candidate
        for each in comparisons
        if each.transition is Transition.UNSCORED
    ]
    reasons = Counter(side.unscored or "no reason given" for side in sides)
    # by count, then by text: the order of the cases must not choose
    return min(reasons, key=lambda reason: (-reasons[reason], reason))
