"""Which gates of a run `quantgate diagnose` takes, and what it says of those that it cannot take."""

from __future__ import annotations

import pytest

from pytest_quantgate.commands.broken import broken_gates, unexplained
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import CaseRecord
from tests.unit.cli.broken_run import several
from tests.unit.report.build import FAILED, PASSED, UNSCORED, counted, record, run


def named(report: RunReport, **which: str | None) -> list[str]:
    return [each.slice for each in broken_gates(report, where="run.json", **which)]


def test_gates_that_did_not_pass_are_taken_worst_first() -> None:
    assert named(several()) == ["worse", "bad"]


def test_one_that_is_named_may_have_passed() -> None:
    assert named(several(), slice_="tolerable") == ["tolerable"]
    assert named(several(), candidate="nf4") == ["worse", "bad", "tolerable"]


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ({"slice_": "fine"}, "no case degraded of fine\n"),
        ({"slice_": "fine", "candidate": "nf4"}, "no case degraded of fine on nf4\n"),
        ({"slice_": "wors"}, "no slice 'wors' in this run\n  did you mean 'worse'?"),
        ({"candidate": "nf5"}, "no candidate 'nf5' in this run\n  did you mean 'nf4'?"),
    ],
)
def test_where_nothing_broke_nothing_is_looked_at(which: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        named(several(), **which)
    assert str(caught.value).startswith(f"run.json: {told}")


def gone(tokens: int) -> Outcome:
    """What is left of an answer whose logits are no numbers after so many tokens."""
    why = f"the logits after {tokens} tokens were not finite numbers"
    return Outcome(Completion("", (7,) * tokens, "invalid", 21, problem=why), (), passed=None, unscored=why)


@pytest.mark.parametrize(
    ("unscored", "told"),
    [
        ([gone(0), gone(3), gone(0)], ": their logits are not numbers\n  check the weights; and half"),
        ([gone(0), UNSCORED, gone(5)], ", most often: their logits are not numbers\n  check the weights; and"),
        ([UNSCORED] * 3, ": the prompt does not fit\n  a case that is unscored has not failed: `quantgate show`"),
    ],
)
def test_a_gate_without_degraded_cases_says_why_cases_are_unscored(unscored: list[Outcome], told: str) -> None:
    answers = [*unscored, PASSED]
    nan = run(("words", [record("words", f"case-{number}", PASSED, each) for number, each in enumerate(answers)]))
    for which in ({}, {"slice_": "words"}):
        with pytest.raises(UsageError) as caught:
            named(nan, **which)
        where = " of words" if which else ""
        assert str(caught.value).startswith(f"run.json: no case degraded{where}; 3 of 4 cases are unscored{told}")


def test_a_run_that_passed_is_looked_at_when_a_gate_is_named() -> None:
    passed = run(("tolerable", counted("tolerable", pp=99, pf=1)))
    with pytest.raises(UsageError, match=r"every gate with degraded cases passed\n  name what to look at all the same"):
        named(passed)
    assert named(passed, slice_="tolerable") == ["tolerable"]


def unscored(name: str, *, beside: Outcome = PASSED, count: int = 10) -> list[CaseRecord]:
    """Cases of which the candidate scores one, the first."""
    return [record(name, f"case-{number}", PASSED, beside if number == 0 else gone(0)) for number in range(count)]


def told_of(report: RunReport, **which: str) -> list[str]:
    return [str(each) for each in unexplained(report, where="run.json", **which)]


def test_gates_without_degraded_cases_are_told_beside_those_that_are_diagnosed() -> None:
    report = run(
        ("bad", counted("bad", pp=8, pf=2)),
        ("gone", unscored("gone")),
        ("both", unscored("both", beside=FAILED)),
        ("fine", counted("fine", pp=10)),
    )
    (told,) = told_of(report)
    assert told.startswith(
        "run.json: no case degraded of gone on nf4; 9 of 10 cases are unscored: their logits are not numbers\n  check"
    )
    assert told_of(report, slice_="gone", candidate="nf4") == [told]
    assert told_of(report, slice_="bad") == []
    assert told_of(report, candidate="int8") == []


def test_a_gate_that_fails_by_another_limit_is_told_and_one_of_too_few_cases_is_not() -> None:
    policy = GatePolicy(min_cases=4, max_length_ratio=0.5)
    few, longer = (run((name, counted(name, pp=count)), policy=policy) for name, count in (("few", 3), ("longer", 4)))
    assert [each.gates[0].verdict.value for each in (few, longer)] == ["INCONCLUSIVE", "FAIL"]
    assert told_of(few) == []
    assert told_of(longer)[0].startswith("run.json: no case degraded of longer on nf4\n")
