"""Small builders for outcomes and comparisons, shared by the tests of outcomes, gate and report."""

from __future__ import annotations

from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Comparison, Outcome, Transition

_SIDES = {
    Transition.PRESERVED: ("+", "+"),
    Transition.FAILING: ("-", "-"),
    Transition.DEGRADED: ("+", "-"),
    Transition.IMPROVED: ("-", "+"),
    Transition.UNSCORED: ("+", "?"),
}


def outcome(
    pattern: str, *, text: str = "an answer", tokens: tuple[int, ...] = (1, 2), margins: tuple[float, ...] = ()
) -> Outcome:
    """An outcome whose checks are followed (+), violated (-) or not scorable (?)."""
    followed = [{"+": True, "-": False, "?": None}[each] for each in pattern]
    results = tuple(CheckResult(f"check{number}", each, f"reason {number}") for number, each in enumerate(followed, 1))
    unscored = f"check{followed.index(None) + 1}: not scorable" if None in followed else None
    passed = None if unscored else all(followed)
    return Outcome(Completion(text, tokens, "stop", 9, margins), results, passed, unscored)


def comparison(before: str, after: str, case_id: str = "case") -> Comparison:
    """A comparison of two outcomes, each by its pattern."""
    return Comparison(case_id, None, outcome(before), outcome(after))


def comparisons(*, pp: int = 0, ff: int = 0, pf: int = 0, fp: int = 0, unscored: int = 0) -> list[Comparison]:
    """So many comparisons of each transition, each of one check."""
    wanted = {
        Transition.PRESERVED: pp,
        Transition.FAILING: ff,
        Transition.DEGRADED: pf,
        Transition.IMPROVED: fp,
        Transition.UNSCORED: unscored,
    }
    kinds = [kind for kind, number in wanted.items() for _ in range(number)]
    return [comparison(*_SIDES[kind], case_id=f"case{number}") for number, kind in enumerate(kinds)]
