"""Graded completions and how they changed; frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pytest_quantgate.cases.model import Case
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion


class Transition(Enum):
    """How one case moved from the reference to a candidate; the values appear in RunReports."""

    PRESERVED = "pass_to_pass"
    FAILING = "fail_to_fail"
    DEGRADED = "pass_to_fail"
    IMPROVED = "fail_to_pass"
    UNSCORED = "unscored"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A completion and its per-check results.

    Attributes:
        completion: What was answered; of a case with later turns, to its first turn.
        results: One per check of the case, in the case's order; of all turns, one turn after another.
        passed: True when every check is followed (strict); False when one is violated and none is
            unscored; None when the case is unscored.
        unscored: Why the case is unscored; None when it is scored.
        turns: The outcome of each turn, of a case with later turns; empty for all others.
    """

    completion: Completion
    results: tuple[CheckResult, ...]
    passed: bool | None
    unscored: str | None = None
    turns: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One case, answered and graded by the reference and by one candidate.

    Attributes:
        case: What was asked.
        reference: The reference's outcome.
        candidate: The candidate's outcome.
    """

    case: Case
    reference: Outcome
    candidate: Outcome

    @property
    def transition(self) -> Transition:
        """How the case moved; UNSCORED when either side is."""
        before, after = self.reference.passed, self.candidate.passed
        if before is None or after is None:
            return Transition.UNSCORED
        if before:
            return Transition.PRESERVED if after else Transition.DEGRADED
        return Transition.IMPROVED if after else Transition.FAILING
