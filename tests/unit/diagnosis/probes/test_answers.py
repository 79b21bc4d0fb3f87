"""Length and loops of answers, by group and variant."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Value
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.probes.answers import measured_answers
from pytest_quantgate.outcomes.model import Comparison
from tests.unit.outcomes.build import case, outcome


def point(case_id: str, *, degraded: bool) -> Point:
    return Point(case_id, degraded, (1,), 2, None, (), 1)


def compared(case_id: str, before: int, after: int, *, loops: bool = False) -> Comparison:
    """Answers of so many tokens, the candidate's cut off in a loop or not."""
    ruined = outcome("-", text="no " * 40, tokens=(1,) * after, ended="length")
    candidate = ruined if loops else outcome("-", tokens=(1,) * after)
    return Comparison(case(case_id), outcome("+", tokens=(1,) * before), candidate)


def test_lengths_and_loops_of_both_groups() -> None:
    points = [point("a", degraded=True), point("b", degraded=True), point("c", degraded=False)]
    comparisons = [
        compared("a", 4, 40, loops=True),
        compared("b", 8, 10),
        compared("c", 3, 3),
        compared("other", 90, 90),
    ]
    assert measured_answers(points, comparisons) == Measured(
        values=(
            Value("answer_tokens", "degraded", "reference", "answer", 6.0, 2),
            Value("answer_tokens", "degraded", "candidate", "answer", 25.0, 2),
            Value("loop_rate", "degraded", "reference", "answer", 0.0, 2),
            Value("loop_rate", "degraded", "candidate", "answer", 0.5, 2),
            Value("answer_tokens", "preserved", "reference", "answer", 3.0, 1),
            Value("answer_tokens", "preserved", "candidate", "answer", 3.0, 1),
            Value("loop_rate", "preserved", "reference", "answer", 0.0, 1),
            Value("loop_rate", "preserved", "candidate", "answer", 0.0, 1),
        )
    )


def test_what_was_not_recorded_is_noted() -> None:
    given = compared("a", 4, 4)
    recorded = replace(given.candidate.completion, token_ids=(), finish_reason="unknown")
    given = replace(given, candidate=replace(given.candidate, completion=recorded))
    found = measured_answers([point("a", degraded=True)], [given])
    assert found.values == ()
    assert found.notes == (
        "answer_tokens of degraded cases: answers were recorded without their tokens",
        "loop_rate of degraded cases: answers were recorded without why they ended",
    )


def test_no_cases_no_numbers() -> None:
    assert measured_answers([], [compared("a", 4, 4)]) == Measured()
