"""What a number of cases can prove, before any model is asked: exact binomial power."""

from __future__ import annotations

from math import ceil, floor, log, log1p
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.significance import p_at_least, p_at_most
from pytest_quantgate.outcomes.special import betaincinv

if TYPE_CHECKING:
    from collections.abc import Callable

POWER: Final = 0.8
"""Share of runs in which the verdict is to be reached."""

MOST_CASES: Final = 10**9
"""A number of cases that nobody runs: what would take more is told as impossible."""

ROUNDING: Final = 1e-9
"""What a value may lie beyond its limit and still count as equal: the noise of float arithmetic."""


def power_to_fail(rate: float, cases: float, limit: float, level: float) -> float:
    """Probability that a true rate is proven above its limit by so many cases, the test being at this level."""
    least = _least_to_fail(cases, limit, level)
    return 0.0 if least is None else p_at_most(least, floor(cases), rate)


def power_to_pass(rate: float, cases: float, limit: float, level: float) -> float:
    """Probability that a true rate is proven below its limit by so many cases, the test being at this level."""
    most = _most_to_pass(cases, limit, level)
    return 0.0 if most is None else _at_most_count(most, floor(cases), rate)


def smallest_rate(cases: float, limit: float, level: float, power: float = POWER) -> float | None:
    """Smallest true rate above the limit that so many cases prove to be above it, with this power.

    Args:
        cases: What the cases are worth; rounded down.
        limit: The largest tolerated rate.
        level: Level of the one-sided test.
        power: Share of runs in which it is to be proven.

    Returns:
        The rate; None when not even a candidate that degrades every case would be FAILed.
    """
    least = _least_to_fail(cases, limit, level)
    if least is None:
        return None
    return betaincinv(least, floor(cases) - least + 1, power)


def cases_to_pass(limit: float, level: float) -> int | None:
    """Smallest number of cases that prove a rate below the limit when none of them degraded.

    Returns:
        The number; None for limit 0, or when it would take more than `MOST_CASES`.
    """
    if limit <= 0:
        return None
    if limit >= 1:
        return 1
    needed = log(level) / log1p(-limit) - ROUNDING  # infinite for the smallest limits
    return max(1, ceil(needed)) if needed <= MOST_CASES else None


def cases_to_pass_at(rate: float, limit: float, level: float, power: float = POWER) -> int | None:
    """Smallest number of cases that prove a true rate below its limit with this power.

    Only numbers at which one more degraded case becomes tolerable are candidates: between them power falls.

    Returns:
        The number; None when the rate is not below the limit, or it would take more than `MOST_CASES`.
    """
    if not rate < limit:
        return None
    if limit >= 1:
        return 1

    def enough(tolerated: int) -> bool:
        cases = _cases_tolerating(tolerated, limit, level)
        return cases is not None and _at_most_count(tolerated, cases, rate) >= power

    tolerated = _first(enough, 0, round(MOST_CASES * limit))
    return None if tolerated is None else _cases_tolerating(tolerated, limit, level)


def cases_to_decide(rate: float, limit: float, level: float) -> int | None:
    """Smallest number of cases at which this very rate, measured, is proven to lie on its side of the limit.

    Args:
        rate: What was measured, in [0, 1].
        limit: The largest tolerated rate.
        level: Level of the one-sided test.

    Returns:
        The number; None where rate and limit are equal, or it would take more than `MOST_CASES`.
    """
    if abs(rate - limit) <= ROUNDING:
        return None
    if limit >= 1:
        return 1
    test = p_at_most if rate > limit else p_at_least
    return _first(lambda cases: test(min(rate * cases, cases), cases, limit) <= level, 1, MOST_CASES)


def _least_to_fail(cases: float, limit: float, level: float) -> int | None:
    """Smallest count that proves a rate above the limit; None when even all cases do not."""
    n = floor(cases)
    return _first(lambda count: p_at_most(count, n, limit) <= level, 0, n) if limit < 1 else None


def _most_to_pass(cases: float, limit: float, level: float) -> int | None:
    """Largest count that proves a rate below the limit; None when even none does not."""
    n = floor(cases)
    if limit >= 1:
        return n
    above = _first(lambda count: p_at_least(count, n, limit) > level, 0, n)
    return None if not above else above - 1


def _at_most_count(count: int, cases: int, rate: float) -> float:
    """P(X ≤ count); all counts for a rate of 0."""
    return 1.0 if rate <= 0 else p_at_least(count, cases, rate)


def _cases_tolerating(tolerated: int, limit: float, level: float) -> int | None:
    """Smallest number of cases of which so many may have degraded and the rate is proven below the limit."""
    return _first(lambda cases: p_at_least(tolerated, cases, limit) <= level, tolerated + 1, MOST_CASES)


def _first(holds: Callable[[int], bool], least: int, most: int) -> int | None:
    """Smallest number from which a condition holds; None when it does not hold at ``most``."""
    step, low = 1, least
    while not holds(min(low + step - 1, most)):
        if low + step - 1 >= most:
            return None
        low, step = low + step, 2 * step
    high = min(low + step - 1, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
