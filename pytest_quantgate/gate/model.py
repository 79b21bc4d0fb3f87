"""The values of a gate: what goes into a verdict, and the verdict with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.intervals import Interval
from pytest_quantgate.outcomes.labelled import Labels
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.outcomes.statistics import SliceStatistics

Role = Literal["candidate", "positive control", "negative control", "drift"]


class Verdict(Enum):
    """What a gate says; the values appear in RunReports."""

    PASS = "PASS"  # noqa: S105  (a verdict, not a secret)
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True, slots=True)
class Look:
    """One look of a sequential gate at the cases so far; a gate that is not sequential has one.

    Attributes:
        cases: Scored cases so far.
        share: Share of alpha that this look may spend; all looks together 1.
        p_fail: p-value against "every limit is kept": small when one is crossed.
        p_pass: p-value against "a limit is crossed": small when all are kept.
    """

    cases: int
    share: float
    p_fail: float
    p_pass: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One limit of a gate, and what was measured against it.

    Attributes:
        limit: The policy's key, such as ``max_pass_to_fail``.
        bound: The limit itself.
        measured: What was measured; the excess over the noise floor where there is one. None when undefined.
        interval: Its 95% interval.
        undefined: Why nothing was measured; None when something was.
        cases: Cases that it rests on.
        effective: What those are worth: fewer where cases share a cluster.
        p_above: p-value of "the limit is kept"; None when undefined.
        p_below: p-value of "the limit is crossed"; None when undefined.
        needed: Cases that would decide at the measured value; None when no number would.
        check: The check that it speaks of, for ``min_grader_agreement``, which stands once for each; None for all
            other limits.
    """

    limit: str
    bound: float
    measured: float | None
    interval: Interval | None
    undefined: str | None
    cases: int
    effective: float
    p_above: float | None
    p_below: float | None
    needed: int | None
    check: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rule ``evidence`` decided by.

    Attributes:
        alpha: Family-wise error, each way.
        gates: Gates of the family: every slice with every candidate under this rule.
        p_fail: Holm-adjusted p-value of FAIL over all looks.
        p_pass: Holm-adjusted p-value of PASS over all looks.
        looks: Every look, the last one last.
        planned: Scored cases that the gate would have had without stopping early; equal to the last look's without.
    """

    alpha: float
    gates: int
    p_fail: float
    p_pass: float
    looks: tuple[Look, ...]
    planned: int


@dataclass(frozen=True, slots=True)
class Floor:
    """The noise floor of a slice: the reference against itself, run another way.

    Attributes:
        pass_to_fail: Cases that passed and now fail.
        fail_to_pass: Cases that failed and now pass.
        cases: Cases scored both times.
        interval: 95% Wilson interval of the PASS→FAIL rate.
        loss: 1 - R of the reference against itself; None when undefined.
    """

    pass_to_fail: int
    fail_to_pass: int
    cases: int
    interval: Interval | None
    loss: float | None


@dataclass(frozen=True, slots=True)
class GateInput:
    """Everything that a verdict on one slice and candidate rests on.

    Attributes:
        slice: Name of the slice.
        candidate: Spec of the candidate or control.
        comparisons: The cases that were answered by both sides.
        policy: The limits.
        selected: Cases of the slice that were asked: all that were selected, but for a sequential gate.
        total: Cases of the slice.
        role: Candidates, positive controls and negative controls are three families of gates.
        problem: What kept the reference or the candidate from answering.
        floor: The reference against itself, run another way, over the same cases; None without a noise floor.
        share: Share of alpha that this look may spend; 1 for a gate that is not sequential.
        earlier: The looks before this one.
        planned: Cases that were selected to run and would be asked without stopping early; None when all were asked.
        labels: What people say of answers to the slice's cases; only gates of candidates are judged by it.
    """

    slice: str
    candidate: str
    comparisons: Sequence[Comparison]
    policy: GatePolicy
    selected: int
    total: int
    role: Role = "candidate"
    problem: str | None = None
    floor: Sequence[Comparison] | None = None
    share: float = 1.0
    earlier: tuple[Look, ...] = ()
    planned: int | None = None
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate of one slice and candidate.

    Attributes:
        slice: Name of the slice.
        candidate: Spec of the candidate or control.
        role: Whether it judged a candidate or a control.
        verdict: PASS, FAIL or INCONCLUSIVE.
        reasons: Why, at least one, without a closing full stop. For PASS and FAIL what was measured against which
            limit (for FAIL: the limits that were crossed); for INCONCLUSIVE every reason that applies.
        partial: True when only some of the slice's cases were selected.
        policy: The limits.
        statistics: What was measured.
        findings: One per limit (of ``min_grader_agreement`` one per check); empty when no case is scored.
        evidence: What the rule ``evidence`` decided by; None under the rule ``point``.
        floor: The noise floor; None without one.
        blind: The positive control that this slice did not see; None when it saw it or none was run.
    """

    slice: str
    candidate: str
    role: Role
    verdict: Verdict
    reasons: tuple[str, ...]
    partial: bool
    policy: GatePolicy
    statistics: SliceStatistics
    findings: tuple[Finding, ...]
    evidence: Evidence | None = None
    floor: Floor | None = None
    blind: str | None = None

    def finding(self, limit: str) -> Finding | None:
        """What was measured against one limit."""
        return next((each for each in self.findings if each.limit == limit), None)
