"""Cases answered and graded by a variant that is in memory; torch is imported when they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_quantgate.cases.model import Case
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate
from pytest_quantgate.generation.turns import answered, next_requests
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.variants.variant import LoadedModel


class _Notes(SilentProgress):
    """Tells only what the user should read, and asks with each step whether to go on."""

    def __init__(self, told: Callable[[str], None], check: Callable[[], None]) -> None:
        self._told = told
        self._check = check

    def advance(self, cases: int, tokens: int) -> None:
        """Goes on, or not."""
        del cases, tokens
        self._check()

    def note(self, message: str) -> None:
        """Passed on."""
        self._told(message)


def outcomes(
    loaded: LoadedModel,
    cases: Sequence[Case],
    registry: CheckRegistry,
    told: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
) -> dict[str, Outcome]:
    """The graded answer to each case, all its turns answered anew; nothing is cached: the model is no variant's.

    Args:
        loaded: Who answers.
        cases: What is asked.
        registry: The checks by name.
        told: Given lines for people.
        check: Called with each step; what it raises goes through.

    Returns:
        By case id.
    """
    known: dict[str, Completion] = {}
    while wanted := {request.digest: request for request in next_requests(cases, known)}:
        generate(loaded, list(wanted.values()), known.update, _Notes(told, check))
    return {case.id: outcome_of_turns(case, answered(case, known), registry) for case in cases}
