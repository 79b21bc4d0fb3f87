"""How many tokens two answers share before they part."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.difference import first_difference, turns_of
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.report.figures import UNDEFINED
from pytest_quantgate.report.html.charts import Line, Role
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.outcomes.model import Comparison

_KINDS: Final[tuple[tuple[Transition, str, Role], ...]] = (
    (Transition.DEGRADED, "PASS→FAIL", "fail"),
    (Transition.PRESERVED, "PASS→PASS", "pass"),
)


@dataclass(frozen=True, slots=True)
class Shared:
    """The cases of one transition whose tokens are known on both sides.

    Attributes:
        label: The transition.
        role: Its colour.
        tokens: Tokens that both answers begin with, sorted; infinite where they never part.
    """

    label: str
    role: Role
    tokens: tuple[float, ...]

    def by(self, share: float) -> float:
        """Tokens by which this share of the answers has parted; infinite when fewer ever do."""
        return self.tokens[ceil(share * len(self.tokens)) - 1]


def tokens_before(comparison: Comparison) -> float | None:
    """Tokens of all turns that both answers begin with; infinite when they are the same; None when nobody knows."""
    together = 0
    for turn in turns_of(comparison):
        before, after = turn.reference.completion, turn.candidate.completion
        if any(each.problem is not None or (each.text and not each.token_ids) for each in (before, after)):
            return None
        index = first_difference(before, after)
        if index is not None:
            return together + index
        together += len(before.token_ids)
    return inf


def shared(comparisons: Sequence[Comparison]) -> tuple[Shared, ...]:
    """Degraded and preserved cases apart; none of either kind without a case whose tokens are known."""
    found = []
    for transition, label, role in _KINDS:
        told = (tokens_before(each) for each in comparisons if each.transition is transition)
        if known := sorted(each for each in told if each is not None):
            found.append(Shared(label, role, tuple(known)))
    return tuple(found)


def survivors(found: Sequence[Shared]) -> tuple[Line, ...]:
    """The share of answers that are still the same after so many tokens."""
    end = max((each for kind in found for each in kind.tokens if each < inf), default=0.0) + 1
    return tuple(Line(kind.label, _steps(kind.tokens, end), kind.role) for kind in found)


def shared_sheet(name: str, found: Sequence[Shared]) -> Sheet:
    """When a quarter, a half and three quarters of the answers have parted."""
    return Sheet(
        title=(Name(name), " tokens before the first difference"),
        headings=("cases", "answers", "never part", "a quarter by", "half by", "three quarters by"),
        rows=tuple(
            (
                kind.label,
                str(len(kind.tokens)),
                str(sum(each == inf for each in kind.tokens)),
                *(_written(kind.by(share)) for share in (0.25, 0.5, 0.75)),
            )
            for kind in found
        ),
    )


def _steps(tokens: Sequence[float], end: float) -> tuple[tuple[float, float], ...]:
    points = [(0.0, 1.0)]
    for number, each in enumerate(tokens, 1):
        if each < inf:
            points.append((each, 1 - number / len(tokens)))
    return (*points, (end, points[-1][1]))


def _written(tokens: float) -> str:
    return UNDEFINED if tokens == inf else f"token {tokens + 1:.0f}"
