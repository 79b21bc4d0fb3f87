"""Per-case values in [0, 1] whose means are the gated metrics; gates test these, statistics average them."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.outcomes.model import Comparison, Outcome


def scored_of(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """The comparisons that both sides left scored, in their order."""
    return [each for each in comparisons if each.transition is not Transition.UNSCORED]


def pass_to_fail_values(scored: Sequence[Comparison]) -> list[float]:
    """1 for each degraded case, else 0; their mean is the PASS→FAIL rate.

    Args:
        scored: Scored comparisons only.
    """
    return [float(each.transition is Transition.DEGRADED) for each in scored]


def loss_values(scored: Sequence[Comparison]) -> list[float]:
    """The candidate's violation rate for each unstable case (PF or FP), else 0; their mean is 1 - R.

    R = P_stable + (1 - v̄) * P_unstable (Paper §3, METRICS.md) = 1 - v̄ * P_unstable, and v̄ is a mean over the unstable
    cases. An improved case has followed everything, so it adds 0.

    Args:
        scored: Scored comparisons only.
    """
    return [violation_rate(each.candidate) if each.transition is Transition.DEGRADED else 0.0 for each in scored]


def violation_rate(outcome: Outcome) -> float:
    """Share of its checks that a scored outcome violates."""
    return fmean(not result.followed for result in outcome.results)
