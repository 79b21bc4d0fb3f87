"""Small builders for outcomes and comparisons, shared by the tests of outcomes, gate and report."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.outcomes.model import Comparison, Outcome, Transition

_SIDES = {
    Transition.PRESERVED: ("+", "+"),
    Transition.FAILING: ("-", "-"),
    Transition.DEGRADED: ("+", "-"),
    Transition.IMPROVED: ("-", "+"),
    Transition.UNSCORED: ("+", "?"),
}


def outcome(
    pattern: str,
    *,
    text: str = "an answer",
    tokens: tuple[int, ...] = (1, 2),
    margins: tuple[float, ...] = (),
    ended: FinishReason = "stop",
    names: Sequence[str] = (),
) -> Outcome:
    """An outcome whose checks, of these names, are followed (+), violated (-) or not scorable (?)."""
    names = names or _names(len(pattern))
    followed = [{"+": True, "-": False, "?": None}[each] for each in pattern]
    results = tuple(
        CheckResult(name, each, f"reason {number}")
        for number, (name, each) in enumerate(zip(names, followed, strict=True), start=1)
    )
    unscored = f"{names[followed.index(None)]}: not scorable" if None in followed else None
    passed = None if unscored else all(followed)
    return Outcome(Completion(text, tokens, ended, 9, margins), results, passed, unscored)


def case(
    case_id: str = "case",
    checks: int = 1,
    cluster: str | None = None,
    tags: tuple[str, ...] = (),
    names: Sequence[str] = (),
) -> Case:
    """A case with so many checks, or with checks of these names."""
    specs = tuple(CheckSpec(name) for name in names or _names(checks))
    return Case(case_id, (Message("user", "Say something."),), specs, 16, tags, cluster)


def comparison(
    before: str,
    after: str,
    case_id: str = "case",
    cluster: str | None = None,
    *,
    tags: tuple[str, ...] = (),
    names: Sequence[str] = (),
) -> Comparison:
    """A comparison of two outcomes, each by its pattern."""
    asked = case(case_id, len(before), cluster, tags, names)
    return Comparison(asked, outcome(before, names=names), outcome(after, names=names))


def _names(number: int) -> list[str]:
    return [f"check{place}" for place in range(1, number + 1)]


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
