"""Controls: a slice that cannot see ruin, or that fails the reference itself, gives no verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from tests.unit.gate.build import EVIDENCE, counted

POINT = GatePolicy(min_cases=1)


def first(*gates: GateInput) -> GateResult:
    return judge(gates)[0]


def seeing(policy: GatePolicy = POINT, **more: Any) -> GateInput:
    return counted(policy, pp=10, pf=50, role="positive control", candidate="ruin", **more)


def blind(policy: GatePolicy = POINT, **more: Any) -> GateInput:
    return counted(policy, pp=60, role="positive control", candidate="ruin", **more)


@pytest.mark.parametrize("policy", [POINT, EVIDENCE])
def test_a_slice_that_sees_ruin_keeps_its_verdicts(policy: GatePolicy) -> None:
    result = first(counted(policy, pp=100), seeing(policy))

    assert result.verdict is Verdict.PASS
    assert result.blind is None


@pytest.mark.parametrize("pf", [0, 60])
@pytest.mark.parametrize("policy", [POINT, EVIDENCE])
def test_a_blind_slice_gives_no_verdict_at_all(policy: GatePolicy, pf: int) -> None:
    result = first(counted(policy, pp=60, pf=pf), blind(policy))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.blind == "ruin"
    assert result.reasons[0].startswith(
        "the positive control ruin must FAIL and is PASS (this slice is blind): PASS→FAIL 0 of 60 (0.0%, "
    )
    assert len(result.reasons) == 2
    assert result.reasons[1].startswith(f"without that it would be {'FAIL' if pf else 'PASS'}: PASS→FAIL {pf} of ")


def test_every_control_must_be_seen() -> None:
    other = counted(POINT, pp=60, role="positive control", candidate="int2")

    assert first(counted(POINT, pp=60), seeing(), other).blind == "int2"


def test_a_control_that_could_not_run_leaves_its_slice_unjudged() -> None:
    unanswered = counted(POINT, pp=0, role="positive control", candidate="ruin", problem="out of memory")
    result = first(counted(POINT, pp=60), unanswered)

    assert (result.verdict, result.blind) == (Verdict.INCONCLUSIVE, None)
    assert result.reasons[0] == "the positive control ruin must FAIL and is INCONCLUSIVE: out of memory"


def test_controls_judge_their_own_slice_alone() -> None:
    result = first(counted(POINT, pp=60), blind(slice="other"))

    assert result.verdict is Verdict.PASS


def test_the_reference_against_itself_must_pass() -> None:
    shaky = counted(POINT, pp=50, pf=10, role="negative control", candidate="fp16 (again)")
    results = judge([counted(POINT, pp=60), shaky])

    assert results[1].verdict is Verdict.FAIL
    assert results[0].verdict is Verdict.INCONCLUSIVE
    assert results[0].blind is None
    assert (
        results[0].reasons[0].startswith("the negative control fp16 (again) must PASS and is FAIL: PASS→FAIL 10 of 60")
    )


def test_a_negative_control_that_proves_nothing_takes_no_fail_back() -> None:
    unproven = counted(EVIDENCE, pp=20, role="negative control", candidate="fp16 (again)")
    failed, passed = judge([counted(EVIDENCE, pp=30, pf=30), counted(EVIDENCE, pp=200), unproven])[:2]

    assert failed.verdict is Verdict.FAIL
    assert passed.verdict is Verdict.INCONCLUSIVE


def test_what_candidate_and_control_suffer_alike_is_told_once() -> None:
    result = first(counted(POINT, pp=60, total=90), seeing(total=90))

    assert result.reasons == ("partial selection: 60 of 90 cases",)
    assert result.blind is None


def test_reasons_of_the_candidate_come_first() -> None:
    result = first(counted(POINT, pp=60, total=90), blind())

    assert [reason.split(":")[0] for reason in result.reasons] == [
        "partial selection",
        "the positive control ruin must FAIL and is PASS (this slice is blind)",
    ]


def test_a_control_that_went_wrong_in_many_ways_is_told_by_the_first() -> None:
    shaky = counted(POINT, pp=50, pf=10, role="negative control", candidate="fp16 (again)")
    results = judge([counted(POINT, pp=60), shaky])

    assert len(results[1].reasons) == 2
    reason = results[0].reasons[0]
    assert results[1].reasons[0] in reason
    assert reason.endswith(" (and 1 more)")
