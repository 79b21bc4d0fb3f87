"""Written cases are proven by two answers each: one that their checks accept, and a plausible one that they do not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from pytest_quantgate.cases.model import Case
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.checks.settings import GradingSettings
from tests.unit.suites.shipped import slices_of

ANSWERS = Path(__file__).parents[3] / "fixtures" / "suite_answers"
FILES = sorted(ANSWERS.glob("*/*.jsonl"))

# Suites whose cases are written by hand, and so must all have their two answers.
WRITTEN = {
    "code": {"code-common", "code-rare"},
    "core": {"format", "math", "refusals"},
    "instructions": {"instructions"},
    "injection": {"injection"},
    "over-refusal": {"over-refusal"},
    "structured": {"structured-other", "tool-calls"},
}


@dataclass(frozen=True, slots=True)
class Answers:
    """Two answers to one case."""

    suite: str
    slice: str
    id: str
    good: str
    bad: str


def read_answers(path: Path) -> list[Answers]:
    return [Answers(suite=path.parent.name, **json.loads(line)) for line in path.read_text("utf-8").split("\n") if line]


ALL_ANSWERS = [answers for path in FILES for answers in read_answers(path)]
each_case = pytest.mark.parametrize(
    "answers", [pytest.param(each, id=f"{each.suite}-{each.slice}-{each.id}") for each in ALL_ANSWERS]
)
each_file = pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])


@cache
def registry() -> CheckRegistry:
    return builtin_registry(GradingSettings(allow_code=True))


@cache
def cases_of(suite: str) -> dict[str, dict[str, Case]]:
    return {name: {case.id: case for case in loaded.cases} for name, loaded in slices_of(suite).items()}


def grade(answers: Answers, text: str) -> tuple[CheckResult, ...]:
    return grade_answer(cases_of(answers.suite)[answers.slice][answers.id], text, registry())


@each_case
def test_good_answer_follows_every_check(answers: Answers) -> None:
    assert [result for result in grade(answers, answers.good) if not result.followed] == []


@each_case
def test_bad_answer_is_scored_and_violates_a_check(answers: Answers) -> None:
    verdicts = {result.followed for result in grade(answers, answers.bad)}
    assert None not in verdicts
    assert False in verdicts


@each_file
def test_a_file_answers_every_case_of_its_slice_once_and_in_order(path: Path) -> None:
    answered = read_answers(path)
    assert {answers.slice for answers in answered} == {path.stem}
    assert [answers.id for answers in answered] == list(cases_of(path.parent.name)[path.stem])


def test_every_written_slice_has_its_answers() -> None:
    answered: dict[str, set[str]] = {}
    for path in FILES:
        answered.setdefault(path.parent.name, set()).add(path.stem)
    assert {suite: answered.get(suite) for suite in WRITTEN} == WRITTEN
