"""The suite of code: what its slices promise; that their tests can be passed and failed is shown by test_answers."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.settings import GradingSettings
from tests.unit.suites.shipped import slices_of

each_slice = pytest.mark.parametrize("name", ["code-common", "code-rare"])


@each_slice
def test_a_slice_has_cases_for_a_verdict_on_three_rungs(name: str) -> None:
    cases = slices_of("code")[name].cases
    assert len(cases) >= 80
    rungs = Counter(tag for case in cases for tag in case.tags if tag.startswith("rung_"))
    assert set(rungs) == {"rung_1", "rung_2", "rung_3"}
    assert sum(rungs.values()) == len(cases)
    assert min(rungs.values()) >= 18


@each_slice
def test_answers_are_kept_short(name: str) -> None:
    budgets = [case.max_new_tokens for case in slices_of("code")[name].cases]
    assert max(budgets) <= 160
    assert sum(budget <= 96 for budget in budgets) > len(budgets) / 2


@each_slice
def test_a_case_says_what_the_answer_must_define(name: str) -> None:
    for case in slices_of("code")[name].cases:
        (check,) = case.checks
        assert check.name == "python_tests"
        assert check.arguments["entry_point"] in case.prompt
        assert check.arguments["seconds"] <= 2


@each_slice
@pytest.mark.parametrize("answer", ["", " the of the of the of\n" * 5, "    pass\n"], ids=["empty", "babble", "pass"])
def test_an_answer_without_code_passes_no_case(name: str, answer: str) -> None:
    registry = builtin_registry(GradingSettings(allow_code=True))
    # a process for each: a part of the cases will do, another one for each answer
    chosen = slices_of("code")[name].cases[len(answer) % 7 :: 7]
    assert [case.id for case in chosen if grade_answer(case, answer, registry)[0].followed is not False] == []


def test_without_leave_nothing_is_scored() -> None:
    case = slices_of("code")["code-common"].cases[0]
    (result,) = grade_answer(case, " n * 2\n```", builtin_registry())
    assert result.followed is None
    assert "--quant-allow-code" in result.reason
