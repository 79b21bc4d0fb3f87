"""Whether a policy can be decided with the cases there are, told before any model is loaded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from pytest_quantgate.cases.purposes import asks_for_refusal, parses
from pytest_quantgate.gate.binomial import ROUNDING, cases_to_pass, cases_to_pass_at, smallest_rate
from pytest_quantgate.gate.judge import ALPHA
from pytest_quantgate.gate.measures import INDICATORS, implied
from pytest_quantgate.gate.sequential import looks
from pytest_quantgate.gate.wording import given
from pytest_quantgate.outcomes.intervals import CONFIDENCE
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.cases.model import Case, Location, Rule, Slice
    from pytest_quantgate.gate.policy import GatePolicy


@dataclass(frozen=True, slots=True)
class PowerRow:
    """What the cases of one slice can prove about its policy.

    Attributes:
        slice: Name of the slice.
        location: Its file.
        rule: How its verdicts are reached.
        cases: Its cases.
        effective: What those are worth where cases that share a cluster are wholly alike, the safe assumption.
        limit: The limit that takes the most cases to be proven to be kept; a key of the policy.
        bound: That limit as the largest tolerated share, 1 - R for ``min_robustness``.
        gates: Gates of the family.
        level: Level at which one gate is tested, were it the first of its family by Holm; under the rule ``point``
            what its printed interval leaves out on each side.
        resolves: Smallest true share above the bound that is proven to be above it, in 4 of 5 runs; None when none is.
        needed: Scored cases that prove the limit to be kept when none degraded; None when no number does.
        needed_at_half: The same in 4 of 5 runs for a candidate at half the limit.
        problem: Why no verdict, or no PASS, is possible, and the number of cases to use; None when it is.
    """

    slice: str
    location: Location
    rule: Rule
    cases: int
    effective: float
    limit: str
    bound: float
    gates: int
    level: float
    resolves: float | None
    needed: int | None
    needed_at_half: int | None
    problem: str | None

    @property
    def refusal(self) -> str | None:
        """The problem with its place, for a run that is refused; None without a problem."""
        return None if self.problem is None else f"{self.location}: slice {self.slice}: {self.problem}"


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit of a policy that is a limit of a share.

    Attributes:
        key: The policy's key.
        bound: The largest tolerated share.
        units: What it is a share of: cases or clusters.
        effective: What those are worth.
    """

    key: str
    bound: float
    units: int
    effective: float

    def cases(self, effective: int | None, all_cases: int) -> int | None:
        """Cases of the slice that give so many independent units."""
        if effective is None or not self.effective:
            return None
        return ceil(effective * all_cases / self.effective - ROUNDING)


def power_rows(
    slices: Sequence[tuple[Slice, GatePolicy]], *, candidates: int, alpha: float = ALPHA, sequential: bool = False
) -> tuple[PowerRow, ...]:
    """What the selected cases of each slice can prove.

    Args:
        slices: Each with the cases that are selected to run, and its policy.
        candidates: Number of candidates.
        alpha: Family-wise error, each way.
        sequential: Whether alpha is spent over looks; then the last look's share is what can be counted on.
    """
    gates = candidates * sum(policy.rule == "evidence" for _, policy in slices)
    return tuple(_row(slice_, policy, max(1, gates), alpha, sequential=sequential) for slice_, policy in slices)


def _row(slice_: Slice, policy: GatePolicy, gates: int, alpha: float, *, sequential: bool) -> PowerRow:
    cases = slice_.cases
    evidence = policy.rule == "evidence"
    level = alpha / gates if evidence else (1 - CONFIDENCE) / 2
    if evidence and sequential:
        level *= looks(cases, policy.min_cases)[-1].share
    limits, tested = _limits(cases, policy)
    needed = {limit.key: limit.cases(cases_to_pass(limit.bound, level), len(cases)) for limit in limits}
    strictest = max(limits, key=lambda limit: _order(needed[limit.key]))
    return PowerRow(
        slice=slice_.name,
        location=slice_.location,
        rule=policy.rule,
        cases=len(cases),
        effective=_effective(case.cluster for case in cases),
        limit=strictest.key,
        bound=strictest.bound,
        gates=gates if evidence else 1,
        level=level,
        resolves=smallest_rate(strictest.effective, strictest.bound, level / tested if evidence else level),
        needed=needed[strictest.key],
        needed_at_half=strictest.cases(cases_to_pass_at(strictest.bound / 2, strictest.bound, level), len(cases)),
        problem=_problem(policy, len(cases), strictest, needed[strictest.key]),
    )


def _limits(cases: Sequence[Case], policy: GatePolicy) -> tuple[list[_Limit], int]:
    """The limits of shares, and how many limits a gate tests; the length ratio is tested too, and cannot be planned."""
    one_check = all(len(case.checks) == 1 and not case.later for case in cases)
    loss = 1 - policy.min_robustness
    found = [_limit("max_pass_to_fail", policy.max_pass_to_fail, cases), _limit("min_robustness", loss, cases)]
    left_out = implied(policy.max_pass_to_fail, loss, one_check=one_check, floor=False)
    found = [limit for limit in found if limit.key != left_out]
    if policy.max_cluster_pass_to_fail is not None:
        sizes = Counter(case.cluster for case in cases if case.cluster is not None)
        clusters = sum(size > 1 for size in sizes.values())
        found.append(_Limit("max_cluster_pass_to_fail", policy.max_cluster_pass_to_fail, clusters, clusters))
    concerned = {
        "max_over_refusal_increase": [case for case in cases if not asks_for_refusal(case)],
        "max_format_retry_increase": [case for case in cases if parses(case)],
    }
    for key in INDICATORS:
        bound = getattr(policy, key)
        if bound is not None and key != "max_length_ratio":
            found.append(_limit(key, bound, concerned.get(key, cases)))
    tested = sum(limit.bound < 1 for limit in found) + (policy.max_length_ratio is not None)
    return found, max(1, tested)


def _limit(key: str, bound: float, cases: Sequence[Case]) -> _Limit:
    return _Limit(key, bound, len(cases), _effective(case.cluster for case in cases))


def _effective(clusters: Iterable[str | None]) -> float:
    """n² over the sum of squared cluster sizes: cases that share a cluster taken as wholly alike (Kish)."""
    sizes = Counter(clusters)
    alone = sizes.pop(None, 0)
    n = alone + sizes.total()
    return n**2 / (alone + sum(size**2 for size in sizes.values())) if n else 0.0


def _order(needed: int | None) -> tuple[bool, int]:
    return needed is None, needed or 0


def _problem(policy: GatePolicy, cases: int, limit: _Limit, needed: int | None) -> str | None:
    problems = []
    if policy.min_cases > cases:
        problems.append(f"min_cases is {policy.min_cases} and it has {counted(cases, 'case')}")
    if policy.rule == "evidence" and (needed is None or needed > cases):
        value = given(float(getattr(policy, limit.key)), 2)
        if needed is None and limit.bound > 0 and not limit.effective:
            problems.append(f"nothing can be measured against {limit.key} {value}")
        elif needed is None:
            other = "well below 1" if limit.key == "min_robustness" else "well above 0"
            problems.append(f"{limit.key} {value} cannot be proven to be kept: give a limit {other}, or the rule point")
        else:
            worth = "" if limit.effective == cases else f", worth {limit.effective:.0f} of their own"
            has = f"{counted(cases, 'case')}{worth}"
            problems.append(
                f"{limit.key} {value} takes {counted(needed, 'case')} to PASS even when none degrades; it has {has}"
            )
    return "; ".join(problems) or None
