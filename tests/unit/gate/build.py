"""Small builders for gates, shared by the tests of the gate and of what is shown of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, GateResult
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.model import Comparison
from tests.unit.outcomes.build import comparisons

LENIENT = GatePolicy(max_pass_to_fail=1, min_robustness=0, min_cases=1, max_unscored=1)
EVIDENCE = GatePolicy(rule="evidence", max_pass_to_fail=0.05, min_robustness=0, min_cases=1)


def gate(cases: list[Comparison], policy: GatePolicy, **more: Any) -> GateInput:
    """A gate of the slice ``format``, all of whose cases were asked."""
    chosen = {"slice": "format", "candidate": "nf4", "selected": len(cases), **more}
    return GateInput(comparisons=cases, policy=policy, **{"total": chosen["selected"], **chosen})


def counted(policy: GatePolicy = EVIDENCE, *, pp: int, pf: int = 0, **more: Any) -> GateInput:
    """A gate with so many preserved and degraded cases."""
    return gate(comparisons(pp=pp, pf=pf), policy, **more)


def judged(cases: list[Comparison], policy: GatePolicy, **more: Any) -> GateResult:
    """The verdict on a gate that is alone in its family."""
    (result,) = judge([gate(cases, policy, **more)])
    return result


def strict(**limits: Any) -> GatePolicy:
    """A policy of the rule ``point`` that has no limits but these."""
    return dataclasses.replace(LENIENT, **limits)
