from __future__ import annotations

import pytest

from pytest_quantgate.cases.model import Location
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.statistics import summarize
from pytest_quantgate.plugin.gates import Gate, PlainFailure


def gate(verdict: Verdict, *, partial: bool = False, broken: bool = False, lenient: bool = False) -> Gate:
    result = GateResult(
        slice="words",
        candidate="nf4",
        role="candidate",
        verdict=verdict,
        reasons=("because",),
        partial=partial,
        policy=GatePolicy(),
        statistics=summarize(()),
        findings=(),
    )
    return Gate("words.slice.yaml::gate[nf4]", Location("words.slice.yaml", 1), result, broken, lenient=lenient)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (gate(Verdict.PASS), "passed"),
        (gate(Verdict.FAIL), "failed"),
        (gate(Verdict.INCONCLUSIVE), "failed"),
        (gate(Verdict.INCONCLUSIVE, partial=True), "skipped"),
        (gate(Verdict.INCONCLUSIVE, partial=True, broken=True), "failed"),
        (gate(Verdict.FAIL, lenient=True), "failed"),
        (gate(Verdict.INCONCLUSIVE, lenient=True), "skipped"),
        (gate(Verdict.INCONCLUSIVE, lenient=True, broken=True), "failed"),
    ],
)
def test_only_the_users_own_choice_excuses_a_gate_that_cannot_decide(given: Gate, outcome: str) -> None:
    assert given.outcome == outcome


def test_a_plain_failure_has_what_pytest_reads() -> None:
    failure = PlainFailure("first\nsecond", "in short")
    assert str(failure) == "first\nsecond"
    assert failure.reprcrash.message == "in short"
    assert str(failure.reprcrash) == "in short"


def test_no_line_of_a_plain_failure_is_a_command_to_the_runner_of_a_build() -> None:
    failure = PlainFailure("first\n  ::error::second", "FAIL: ##[error]no")
    assert str(failure) == "first\n  \\x3a:error::second"
    assert str(failure.reprcrash) == r"FAIL: #\x23[error]no"
