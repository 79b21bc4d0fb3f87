"""Tests of a mean change over the same cases that keep their level where few cases change.

Newcombe's interval of a paired difference (intervals.newcombe_paired) is what is printed; its inverted test is wrong
up to a quarter too often where nearly nothing changes, or changes one way only (docs/gates.md). Here the same
square-and-add (Zou & Donner 2008) is taken over what rose and what fell, each with its exact limits. Of values that
fell nowhere, the upper end is Clopper & Pearson's: a PASS over a noise floor of zero takes what it takes without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, fsum, sqrt
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.intervals import exact_limits, square_and_add

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FARTHEST: Final = 25.0  # standard normal: scipy finds no limit at much smaller tails
_HALVINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Change:
    """What rose and what fell between two values in [0, 1] of the same cases.

    Attributes:
        rise: Mean of first - second where that is positive, else 0; in [0, 1].
        fall: Mean of second - first likewise; both add up to at most 1.
        n: Cases, or what they are worth where some share a cluster; above 0.
    """

    rise: float
    fall: float
    n: float

    def low(self, level: float) -> float:
        """The lower one-sided bound of the mean change, at a level below one half."""
        rise, fall = self._limits(level)
        return max(
            -1.0, self.rise - self.fall - square_and_add(self.rise - rise[0], fall[1] - self.fall, self._together)
        )

    def high(self, level: float) -> float:
        """The upper one-sided bound of the mean change, at a level below one half."""
        rise, fall = self._limits(level)
        return min(
            1.0, self.rise - self.fall + square_and_add(rise[1] - self.rise, self.fall - fall[0], self._together)
        )

    def p_at_most(self, limit: float) -> float:
        """p-value of "the mean change is at most the limit": small when it is above."""
        return self._p(lambda level: self.low(level) > limit, lambda level: self.high(level) < limit)

    def p_at_least(self, limit: float) -> float:
        """p-value of "the mean change is at least the limit": small when it is below."""
        return self._p(lambda level: self.high(level) < limit, lambda level: self.low(level) > limit)

    def _p(self, against: Callable[[float], bool], for_it: Callable[[float], bool]) -> float:
        """The smallest level at which a bound refutes; above one half, 1 minus that of the other bound."""
        if against(_tail(0)):
            return _smallest(against)
        return 1 - _smallest(for_it) if for_it(_tail(0)) else 0.5

    def _limits(self, level: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Clopper & Pearson's one-sided limits of both means."""
        return exact_limits(min(self.rise, 1.0) * self.n, self.n, level), exact_limits(
            min(self.fall, 1.0) * self.n, self.n, level
        )

    @property
    def _together(self) -> float:
        """Correlation of both means: a case that rose cannot have fallen, so that they vary against each other."""
        rest = (1 - self.rise) * (1 - self.fall)
        return max(-sqrt(self.rise * self.fall / rest), -1.0) if rest > 0 else 0.0


def change_between(first: Sequence[float], second: Sequence[float], *, effective: float | None = None) -> Change:
    """The change from second to first.

    Args:
        first: Values in [0, 1], one per case; at least one.
        second: Values in [0, 1] of the same cases in the same order.
        effective: What the cases are worth where some share a cluster; their number when None.
    """
    changes = [one - other for one, other in zip(first, second, strict=True)]
    n = len(changes)
    rise, fall = fsum(each for each in changes if each > 0) / n, -fsum(each for each in changes if each < 0) / n
    return Change(rise, fall, n if effective is None else effective)


def _tail(z: float) -> float:
    return erfc(z / sqrt(2)) / 2


def _smallest(refutes: Callable[[float], bool]) -> float:
    """The smallest level at which a bound still refutes; what is smaller still is told as 3e-138."""
    if refutes(_tail(_FARTHEST)):
        return _tail(_FARTHEST)
    near, far = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if refutes(_tail(middle)) else (near, middle)
    return _tail(near)
