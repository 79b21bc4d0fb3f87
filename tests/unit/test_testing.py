"""The testing kit for users: checks and slices without a model."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantgate import testing
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.finding import Finding, followed
from pytest_quantgate.checks.model import Answer
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.errors import SliceError, UsageError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.testing import (
    assert_fails,
    assert_passes,
    check_answer,
    grade_slice,
    judge_slice,
    load_slice,
)

SUMS = """\
slice: sums
gate: {min_cases: 1}
cases:
  - id: one
    prompt: 1 + 1 =
    checks: [number: 2]
  - id: two
    prompt: 2 + 2 =
    checks: [number: 4, word_count: {max: 3}]
  - id: talk
    turns:
      - {prompt: 1 + 2 =, checks: [number: 3]}
      - {prompt: and 1 more, checks: [number: 4]}
"""
RIGHT = {"one": "2", "two": "4", "talk": ["3", "4"]}
WRONG = {"one": "3", "two": "it may well be 4", "talk": ["3", "5"]}


def shouted(answer: str, *, case: object) -> Finding:
    return followed(f"asked {case}") if answer.isupper() else Finding(followed=False, reason="not in capitals")


def register(registry: CheckRegistry) -> None:
    registry.register("shouted", shouted)


def test_its_examples_are_true() -> None:
    result = doctest.testmod(testing)
    assert result.attempted > 10
    assert result.failed == 0


def test_it_imports_no_torch() -> None:
    code = "import sys, pytest_quantgate.testing; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("check", ["json", "{json: }", {"json": None}, "json: {}"])
def test_a_check_is_written_as_in_a_slice_file(check: str | dict[str, object]) -> None:
    assert check_answer(check, "{}").followed is True
    assert check_answer(check, "{").followed is False


def test_own_checks_come_from_a_function_or_a_registry() -> None:
    registry = builtin_registry()
    register(registry)
    for checks in (register, registry):
        assert check_answer("shouted", "NOW", checks=checks).followed is True
        assert check_answer("shouted", "now", checks=checks).reason == "not in capitals"
        assert check_answer("json", "{}", checks=checks).followed is True


def test_the_prompt_and_the_reason_for_the_end_reach_the_check() -> None:
    assert "Why" in check_answer("shouted", "NOW", prompt="Why?", checks=register).reason

    def whole(answer: str, *, full_answer: Answer) -> Finding:
        return Finding(full_answer.finish_reason == "stop", answer)

    checks = builtin_registry()
    checks.register("whole", whole)
    assert check_answer("whole", Answer("a", "stop"), checks=checks).followed is True
    assert check_answer("whole", "a", checks=checks).followed is False


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("exactt: a", "'exactt: a': unknown check 'exactt'; did you mean 'exact'?"),
        ("exact: [", "bad YAML"),
        ("exact: {text: a, txet: b}", "txet"),
        ("", "a check is a name"),
        ("a: b\nc: d", "a check is a name"),
        ({"exact": "a", "json": None}, "a check is a name"),
        ("[json]", "a check is a name"),
    ],
)
def test_a_check_that_cannot_be_is_told(check: str | dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_answer(check, "a")
    assert told in str(caught.value)


def test_a_slice_is_loaded_from_text_or_file(tmp_path: Path) -> None:
    file = tmp_path / "sums.slice.yaml"
    file.write_text(SUMS)
    cases = load_slice(SUMS).cases
    assert [case.id for case in cases] == ["one", "two", "talk"]
    for source in (file, str(file)):
        loaded = load_slice(source)
        assert [case.id for case in loaded.cases] == ["one", "two", "talk"]
        assert loaded.location.path == str(file)


def test_every_problem_of_a_slice_is_told_with_its_line() -> None:
    with pytest.raises(SliceError) as caught:
        load_slice(SUMS.replace("number: 2", "numbr: 2").replace("1 + 2 =", ""))
    assert [problem.line for problem in caught.value.problems] == [6, 12]


def test_answers_are_graded_in_the_slices_order_and_missing_ones_left_out() -> None:
    outcomes = grade_slice(load_slice(SUMS), {"two": "4", "one": "1"})
    assert {name: outcome.passed for name, outcome in outcomes.items()} == {"one": False, "two": True}
    assert list(outcomes) == ["one", "two"]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"on": "2"}, "<text>:1: slice 'sums' has no case 'on'\n  did you mean 'one'?"),
        ({"talk": "3"}, "<text>:10: case 'talk' has 2 turns, and 1 answer is given"),
        ({"talk": ["3"]}, "<text>:10: case 'talk' has 2 turns"),
        ({"one": ["2", "2"]}, "<text>:4: case 'one' has 1 turn, and 2 answers are given"),
    ],
)
def test_answers_that_fit_no_case_are_told(answers: testing.Answers, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        grade_slice(load_slice(SUMS), answers)
    assert told in str(caught.value)


def test_right_answers_pass_and_wrong_ones_fail() -> None:
    slice_ = load_slice(SUMS)
    assert_passes(slice_, RIGHT)
    assert_fails(slice_, WRONG)


def test_what_does_not_pass_is_told_with_its_line_answer_and_reason() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_passes(load_slice(SUMS), RIGHT | {"two": "I say\x1b 5"})
    assert str(caught.value).splitlines() == [
        "1 of 3 answers do not pass:",
        "<text>:7: two fails: 'I say\\x1b 5'",
        "    number: the last number is '5', not 4",
    ]


def test_what_does_not_fail_is_told() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_fails(load_slice(SUMS), WRONG | {"one": "2", "talk": ["3", "4"]})
    told = str(caught.value)
    assert told.startswith("2 of 3 answers do not fail:\n<text>:4: one passes: '2'\n    number: ")
    assert "<text>:10: talk passes: '3', '4'\n    number: turn 1: " in told


def test_what_cannot_be_scored_neither_passes_nor_fails() -> None:
    slice_ = load_slice("slice: code\ncases: [{id: a, prompt: p, checks: [broken]}]", checks=with_a_fault)
    for asserted in (assert_passes, assert_fails):
        with pytest.raises(AssertionError, match="a is not scored: 'x'\n    broken: the check itself failed"):
            asserted(slice_, {"a": "x"}, checks=with_a_fault)


def with_a_fault(registry: CheckRegistry) -> None:
    def broken(_answer: str) -> Finding:
        raise ZeroDivisionError

    registry.register("broken", broken)


def test_no_answers_prove_nothing() -> None:
    for asserted in (assert_passes, assert_fails):
        with pytest.raises(UsageError, match="<text>:1: no answers are given"):
            asserted(load_slice(SUMS), {})


def test_a_slice_is_judged_as_in_a_run() -> None:
    slice_ = load_slice(SUMS)
    assert judge_slice(slice_, reference=RIGHT, candidate=RIGHT).verdict is Verdict.PASS
    failed = judge_slice(slice_, reference=RIGHT, candidate=WRONG)
    assert failed.verdict is Verdict.FAIL
    assert failed.statistics.counts.pf == 3
    lenient = GatePolicy(min_cases=1, max_pass_to_fail=1.0, min_robustness=0.0)
    assert judge_slice(slice_, reference=RIGHT, candidate=WRONG, policy=lenient).verdict is Verdict.PASS


def test_a_missing_answer_leaves_the_gate_undecided() -> None:
    result = judge_slice(load_slice(SUMS), reference=RIGHT, candidate={"one": "2"})
    assert result.verdict is Verdict.INCONCLUSIVE


def test_every_public_name_is_there_with_a_docstring() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)
