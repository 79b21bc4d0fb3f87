"""From a completion to its graded outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.finding import one_line
from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.model import Answer, CheckResult
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.registry import CheckRegistry

NOT_ASKED: Final = "not asked"


def outcome_of(case: Case, completion: Completion, registry: CheckRegistry) -> Outcome:
    """Grade one completion strictly: it passes when every check of the case is followed.

    A check that could not be scored makes the whole case unscored, even beside a violated one, and so
    does a completion that has no answer.

    Args:
        case: The case that was asked.
        completion: What the variant answered.
        registry: The checks by name.
    """
    if completion.problem is not None:
        missing = tuple(CheckResult(spec.name, None, completion.problem) for spec in case.checks)
        return Outcome(completion, missing, passed=None, unscored=completion.problem)
    finish_reason = None if completion.finish_reason == "unknown" else completion.finish_reason
    answer = Answer(completion.text, finish_reason, completion.recall)
    results = grade_answer(case, answer, registry)
    unscored = next((f"{result.check}: {result.reason}" for result in results if result.followed is None), None)
    if unscored is not None:
        return Outcome(completion, results, passed=None, unscored=unscored)
    return Outcome(completion, results, passed=all(result.followed for result in results))


def outcome_of_turns(case: Case, completions: Sequence[Completion], registry: CheckRegistry) -> Outcome:
    """Grade every turn of a case: it passes when each of them does, and one unscored turn leaves it unscored.

    Args:
        case: The case; one without later turns is graded by its only completion.
        completions: The answers to its turns, at least one. Where one has no answer, nothing came after it:
            the turns that were never asked are unscored for its reason.
        registry: The checks by name.
    """
    if not case.later:
        return outcome_of(case, completions[0], registry)
    answered = list(completions)
    while len(answered) <= len(case.later):
        last = answered[-1]
        problem = last.problem
        if problem is None or not problem.startswith(NOT_ASKED):
            problem = f"{NOT_ASKED}: turn {len(answered)} has no answer: {problem or 'nothing is known of it'}"
        answered.append(Completion("", (), last.finish_reason, 0, problem=problem))
    texts = [completion.text for completion in answered]
    turns = tuple(
        outcome_of(case.turn_after(texts[:number]), completion, registry) for number, completion in enumerate(answered)
    )
    results = tuple(
        CheckResult(result.check, result.followed, one_line(f"turn {number}: {result.reason}"))
        for number, turn in enumerate(turns, start=1)
        for result in turn.results
    )
    reasons = (f"turn {number}: {turn.unscored}" for number, turn in enumerate(turns, start=1) if turn.unscored)
    unscored = next(reasons, None)
    passed = None if unscored is not None else all(turn.passed for turn in turns)
    return Outcome(answered[0], results, passed, unscored, turns)
