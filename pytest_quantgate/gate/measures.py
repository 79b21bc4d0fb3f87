"""From the comparisons of one gate to what was measured against each limit of its policy."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.binomial import ROUNDING
from pytest_quantgate.gate.limits import Difference, Ratio, Share
from pytest_quantgate.outcomes.clusters import groups_of
from pytest_quantgate.outcomes.indicators import Name, paired
from pytest_quantgate.outcomes.values import loss_values, pass_to_fail_values, scored_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_quantgate.gate.limits import Measure
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.outcomes.model import Comparison

INDICATORS: Final[dict[str, Name]] = {
    "max_refusal_drift": "refusal_rate",
    "max_over_refusal_increase": "over_refusal_rate",
    "max_format_retry_increase": "format_retry_rate",
    "max_truncation_increase": "truncation_rate",
    "max_loop_increase": "loop_rate",
    "max_length_ratio": "length_ratio",
}
"""What each optional limit is a limit of."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of a policy and what was measured against it.

    Attributes:
        key: The policy's key.
        measure: What was measured; None when undefined.
        undefined: Why nothing was measured; None when something was.
        counts: Whether it must be tested: another limit may say the same, or more.
        candidate: The candidate's own measure where the other one is its excess over the noise floor.
        floor: The reference's measure against itself, likewise.
        check: The check whose agreement with people is limited; None for all other limits.
        reference: The same measure on the reference's answers, beside a check.
    """

    key: str
    measure: Measure | None
    undefined: str | None = None
    counts: bool = True
    candidate: Share | None = None
    floor: Share | None = None
    check: str | None = None
    reference: Share | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the policy speaks of 1 minus what is measured: R is 1 minus the loss."""
        return self.key in ("min_robustness", "min_grader_agreement")


def measure_limits(
    comparisons: Sequence[Comparison], floor: Sequence[Comparison] | None, policy: GatePolicy
) -> tuple[Limit, ...]:
    """Measure what each limit of a policy speaks of, in the policy's order.

    Args:
        comparisons: The cases.
        floor: The reference against itself over the same cases; None without a noise floor.
        policy: The limits.

    Returns:
        One for each limit that the policy sets; none when no case is scored (with a floor: in both).
    """
    scored, again = scored_of(comparisons), None
    if floor is not None:
        scored, again = paired_with_floor(comparisons, floor)
    if not scored:
        return ()
    degraded = _mean("max_pass_to_fail", pass_to_fail_values, scored, again, policy.max_pass_to_fail)
    lost = _mean("min_robustness", loss_values, scored, again, 1 - policy.min_robustness)
    one_check = all(len(each.reference.results) == 1 for each in scored)
    left_out = implied(policy.max_pass_to_fail, 1 - policy.min_robustness, one_check=one_check, floor=floor is not None)
    found = [replace(each, counts=False) if each.key == left_out else each for each in (degraded, lost)]
    if policy.max_cluster_pass_to_fail is not None:
        found.append(_clusters(comparisons, floor, policy.max_cluster_pass_to_fail))
    for key, name in INDICATORS.items():
        bound = getattr(policy, key)
        if bound is not None:
            found.append(_indicator(key, name, comparisons, bound))
    return tuple(found)


def paired_with_floor(
    comparisons: Sequence[Comparison], floor: Iterable[Comparison]
) -> tuple[list[Comparison], list[Comparison]]:
    """The comparisons that are scored in both, in the same order."""
    again = {each.case.id: each for each in scored_of(floor)}
    both = [each for each in scored_of(comparisons) if each.case.id in again]
    return both, [again[each.case.id] for each in both]


def _mean(
    key: str,
    values_of: Callable[[Sequence[Comparison]], Sequence[float]],
    scored: Sequence[Comparison],
    again: Sequence[Comparison] | None,
    bound: float,
) -> Limit:
    groups = groups_of(scored)
    candidate = Share(values_of(scored), groups, bound)
    if again is None:
        return Limit(key, candidate, counts=bound < 1)
    floor = Share(values_of(again), groups, bound)
    excess = Difference(candidate.values, floor.values, groups, bound)
    return Limit(key, excess, counts=bound < 1, candidate=candidate, floor=floor)


def implied(pass_to_fail: float, loss: float, *, one_check: bool, floor: bool) -> str | None:
    """The limit that another one implies: testing both would cost evidence and add nothing.

    A case loses at most 1, and nothing unless it degraded. So the loss is at most the PASS→FAIL rate, and equal to it
    when every case has one check. Over a noise floor both are differences, and only the latter holds.

    Args:
        pass_to_fail: Largest PASS→FAIL rate.
        loss: Largest 1 - R.
        one_check: Whether every case has one check.
        floor: Whether both are measured over a noise floor.
    """
    if pass_to_fail <= loss + ROUNDING:  # 1 - 0.9 is a little below 0.1
        return "min_robustness" if one_check or not floor else None
    return "max_pass_to_fail" if one_check else None


def _clusters(comparisons: Sequence[Comparison], floor: Sequence[Comparison] | None, bound: float) -> Limit:
    """Clusters of at least two cases as units; one that has an unscored case is left out."""
    key = "max_cluster_pass_to_fail"
    after = _degraded_clusters(comparisons)
    before = after if floor is None else _degraded_clusters(floor)
    names = sorted(after.keys() & before.keys())
    if not names:
        return Limit(key, None, "no cluster has two scored cases")
    candidate = Share([after[name] for name in names], names, bound)
    if floor is None:
        return Limit(key, candidate, counts=bound < 1)
    again = Share([before[name] for name in names], names, bound)
    excess = Difference(candidate.values, again.values, names, bound)
    return Limit(key, excess, counts=bound < 1, candidate=candidate, floor=again)


def _degraded_clusters(comparisons: Sequence[Comparison]) -> dict[str, float]:
    """1 for each cluster that passes with the reference and fails with the candidate, else 0."""
    sizes = Counter(each.case.cluster for each in comparisons)
    members: defaultdict[str, list[Comparison]] = defaultdict(list)
    for each in scored_of(comparisons):
        if each.case.cluster is not None:
            members[each.case.cluster].append(each)
    return {
        name: float(all(each.reference.passed for each in group) and not all(each.candidate.passed for each in group))
        for name, group in members.items()
        if len(group) == sizes[name] > 1
    }


def _indicator(key: str, name: Name, comparisons: Sequence[Comparison], bound: float) -> Limit:
    values = paired(name, comparisons)
    if values.undefined is not None:
        return Limit(key, None, values.undefined)
    if key != "max_length_ratio":
        both_ways = key == "max_refusal_drift"
        return Limit(key, Difference(values.second, values.first, values.groups, bound, both_ways), counts=bound < 1)
    if not sum(values.first):
        return Limit(key, None, "the reference's answers have no tokens")
    return Limit(key, Ratio(values.second, values.first, values.groups, bound))
