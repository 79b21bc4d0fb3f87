"""From a completion to its graded outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.outcomes.model import Outcome

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.generation.completion import Completion


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
    results = grade_answer(case, completion.text, registry)
    unscored = next((f"{result.check}: {result.reason}" for result in results if result.followed is None), None)
    if unscored is not None:
        return Outcome(completion, results, passed=None, unscored=unscored)
    return Outcome(completion, results, passed=all(result.followed for result in results))
