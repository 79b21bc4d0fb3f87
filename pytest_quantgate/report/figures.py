"""How figures stand in a table's cells."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.wording import SMALLEST_P, percent, percent_range

if TYPE_CHECKING:
    from pytest_quantgate.outcomes.intervals import Estimate, Interval

UNDEFINED: Final = "-"
"""Stands for a value that is not defined."""


def share(value: float | None) -> str:
    """A share: ``8.3%``."""
    return UNDEFINED if value is None else percent(value)


def ranged(estimate: Estimate) -> str:
    """A share with its interval: ``8.3% (3.6-18.1%)``."""
    if estimate.interval is None:
        return share(estimate.value)
    return f"{share(estimate.value)} ({percent_range(estimate.interval)})"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, always with its sign: ``+0.8``, ``-1.4``; 0 has none."""
    shown = UNDEFINED if value is None else f"{100 * value:+.1f}"
    return "0.0" if shown in ("+0.0", "-0.0") else shown


def change(estimate: Estimate) -> str:
    """A difference of shares with its interval, in percentage points: ``-1.4 (-3.7 to +0.9)``."""
    interval: Interval | None = estimate.interval
    if interval is None:
        return points(estimate.value)
    return f"{points(estimate.value)} ({points(interval.low)} to {points(interval.high)})"


def probability(p: float | None) -> str:
    """A p-value: ``0.0312``, ``<0.0001``."""
    if p is None:
        return UNDEFINED
    return f"<{SMALLEST_P}" if p < SMALLEST_P else f"{p:.4f}"


def number(value: float | None) -> str:
    """A measured number in few characters: ``0.831``, ``12.4``, ``1,204``, ``0.0012``."""
    if value is None or not isfinite(value):
        return UNDEFINED
    size = abs(value)
    if size >= 1e9:  # noqa: PLR2004  (no measure gets there, but a file may hold anything)
        return f"{value:.3g}"
    if value == round(value) or size >= 1000:  # noqa: PLR2004  (ranks, lengths)
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 10 or size < 0.01 else f"{value:.3f}"  # noqa: PLR2004


def megabytes(size: int) -> str:
    """Bytes: ``101.5 MB``."""
    return f"{size / 1e6:,.1f} MB"
