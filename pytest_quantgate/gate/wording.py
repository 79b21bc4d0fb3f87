"""How measured values and their limits are written, so that a sentence never contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.outcomes.intervals import Interval

MOST_DIGITS = 6
"""Decimals after which two values are written alike."""

SMALLEST_P = 0.0001
"""p-values below it are told as that."""


def measured(value: float, digits: int, *, limit: float | None = None) -> str:
    """A measured value with ``digits`` decimals, or with as many as tell it from a different limit."""
    while (
        limit is not None
        and digits < MOST_DIGITS
        and f"{value:.{MOST_DIGITS}f}" != f"{limit:.{MOST_DIGITS}f}"
        and f"{value:.{digits}f}" == f"{limit:.{digits}f}"
    ):
        digits += 1
    return f"{value:.{digits}f}"


def given(value: float, digits: int) -> str:
    """A limit with at least ``digits`` decimals, and all that its owner wrote."""
    written = f"{value:.{MOST_DIGITS}f}".rstrip("0").partition(".")[2]
    return f"{value:.{max(digits, len(written))}f}"


def percent(share: float, *, limit: float | None = None) -> str:
    """A measured share: ``8.3%``."""
    return measured(100 * share, 1, limit=None if limit is None else 100 * limit) + "%"


def percent_limit(share: float) -> str:
    """A share that is a limit: ``2.0%``, ``0.25%``."""
    return given(100 * share, 1) + "%"


def percent_range(interval: Interval) -> str:
    """Both ends of an interval: ``3.6-18.1%``; ``-1.0 to 3.1%`` where one is negative."""
    between = "-" if interval.low >= 0 else " to "
    return f"{100 * interval.low:.1f}{between}{percent(interval.high)}"


def p_value(p: float, *, limit: float | None = None) -> str:
    """A p-value: ``p 0.0312``, ``p < 0.0001``."""
    return f"p < {SMALLEST_P}" if p < SMALLEST_P else f"p {measured(p, 4, limit=limit)}"
