"""Reports and failure texts of cases with several turns, begun answers and measured recall."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Turn
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.report.difference import side_by_side
from pytest_quantgate.report.health import healths
from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import PASSED, case, record, run

YES = (CheckSpec("contains", {"all": ["yes"]}),)
ASKED = replace(case("chat", "First?"), checks=YES, later=(Turn("Second?", YES, 8), Turn("Third?", YES, 8)))
MEASURED = replace(
    PASSED,
    completion=replace(
        PASSED.completion,
        recall=(Recall("Paris", (5,), (1,), (0,), (-0.25,)), Recall("x", problem="it does not fit")),
    ),
)


def outcome(*texts: str) -> Outcome:
    completions = [Completion(text, tuple(map(ord, text)), "stop", 9) for text in texts]
    return outcome_of_turns(ASKED, completions, builtin_registry())


def report_of(asked: Case, before: Outcome, after: Outcome) -> RunReport:
    return run(("chats", [replace(record("chats", asked.id, before, after), case=asked)]))


def show(before: Outcome, after: Outcome, asked: Case = ASKED) -> str:
    compared = Comparison(asked, before, after)
    return side_by_side(asked, compared, "nf4", slice_name="chats", reference="fp16", width=120, color=False)


def test_turns_survive_the_file() -> None:
    report = report_of(ASKED, outcome("yes", "yes", "yes"), outcome("yes", "no", "yes"))
    assert RunReport.from_json(report.to_json()) == report


def test_a_turn_whose_results_are_not_those_of_its_checks_is_refused() -> None:
    document = json.loads(report_of(ASKED, outcome("yes", "yes", "yes"), outcome("yes", "no", "yes")).to_json())
    first, second, _ = document["cases"][0]["outcomes"]["nf4"]["turns"]
    second["results"] += first["results"]
    first.update(results=[], passed=None)
    with pytest.raises(QuantgateError, match="one result for each check"):
        RunReport.from_json(json.dumps(document))


def test_each_answer_is_looked_at_beside_what_its_own_turn_asks() -> None:
    recall = (CheckSpec("recall", {"texts": ["Paris"]}),)
    turns = (Turn("Ответь по-русски: какого цвета трава?", YES, 8), Turn("What is left?", recall, 8))
    asked = replace(case("chat", "What colour is grass? Answer in English."), checks=YES, later=turns)
    completions = [
        Completion(text, (1, 2), "length", 9) for text in ("Grass is green.", "Трава зелёная, конечно.", "no " * 30)
    ]
    said = outcome_of_turns(asked, completions, builtin_registry())
    (found, _) = healths(report_of(asked, said, said))
    assert found.variant == "fp16"
    assert (found.indicators.answers, found.indicators.truncated, found.indicators.looping) == (2, 2, 0)
    assert found.indicators.wrong_script == 0


def test_begun_answers_and_measures_survive_the_file() -> None:
    asked = replace(case("fact"), answer_prefix="The capital is")
    report = report_of(asked, MEASURED, PASSED)
    assert RunReport.from_json(report.to_json()) == report


def test_a_report_of_plain_cases_has_no_new_keys_and_an_old_one_is_read() -> None:
    report = report_of(case("plain"), PASSED, PASSED)
    (written,) = json.loads(report.to_json())["cases"]
    assert {"later", "answer_prefix"}.isdisjoint(written["case"])
    assert {"turns", "recall"}.isdisjoint(written["outcomes"]["fp16"])
    assert RunReport.from_json(report.to_json()) == report


def test_turns_inside_turns_are_not_followed() -> None:
    report = report_of(ASKED, outcome("yes", "yes", "yes"), outcome("yes", "no", "yes"))
    document = json.loads(report.to_json())
    turn = document["cases"][0]["outcomes"]["nf4"]["turns"][0]
    for _ in range(200):
        turn["turns"] = [dict(turn)]
        turn = turn["turns"][0]
    assert RunReport.from_json(json.dumps(document)) == report


def test_the_turn_that_degraded_is_shown() -> None:
    lines = show(outcome("yes", "yes!", "yes"), outcome("yes", "no", "yes")).splitlines()
    assert lines[0] == "chats::chat[nf4]  PASS→FAIL"
    assert lines[1] == "turn 2: Second?"
    assert any(line.startswith("yes!") and line.endswith("no") for line in lines)
    assert "This is turn 2 of 3; all answers before it are the same." in lines
    assert any(line.startswith("broke contains: turn 2: ") for line in lines)


def test_a_history_that_differs_is_told() -> None:
    text = show(outcome("yes", "yes!", "yes"), outcome("oh yes", "yes!", "no"))
    assert "turn 3: Third?" in text
    assert "This is turn 3 of 3; the answers part at turn 1 already, so each side was asked behind its own." in text


def test_when_no_turn_moved_the_first_that_differs_is_shown() -> None:
    text = show(outcome("yes", "yes", "yes"), outcome("yes", "yes.", "yes"))
    assert "turn 2: Second?" in text
    assert "This is turn 1 of 3." in show(outcome("yes", "yes", "yes"), outcome("no", "no", "no"))


def test_an_answer_that_was_begun_shows_its_beginning() -> None:
    text = show(PASSED, PASSED, replace(case("fact"), answer_prefix="The capital is"))
    assert "answers begin with: The capital is" in text
