"""Orders over layers that a search cuts at its budget. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pytest_quantgate.diagnosis.clock import Clock
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen
from pytest_quantgate.diagnosis.sensitivity import attribute, by_cover, by_effect, by_kurtosis, early_first
from pytest_quantgate.diagnosis.strategy import Orders
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.diagnosis.trials import Keeping, Subject, Trials

BY_EFFECT: Final = "first-order effect on the cases"
"""The way of the order by ``sensitivity.by_cover``."""


def first_orders(
    before: Runner,
    after: Runner,
    screen: Screen,
    subject: Subject,
    *,
    measured: Measured,
    clock: Clock,
) -> Orders:
    """The four orders over layers, as far as they can be had; the one that asks the cases themselves is tried first.

    Args:
        before: Runs the reference.
        after: Runs the candidate.
        screen: The points.
        subject: The candidate.
        measured: What ``causal_tests`` gave; may be empty.
        clock: How long.

    Raises:
        TimeUpError: No time is left.
    """
    architecture, stored = after.architecture, subject.stored
    every = early_first(architecture)
    found = {
        "early layers": every,
        "kurtosis of weights": by_kurtosis(before.model, every),
        "most sensitive layers and components": by_effect(architecture, measured),
    }
    attribution = attribute(before.model, after, screen.points, every, clock.check)

    def orders(keeping: Keeping) -> Mapping[str, Sequence[str]]:
        gaining = set(stored.protectable(keeping.bits))
        fitting = {way: [name for name in order if name in gaining] for way, order in found.items() if order}
        if attribution is None:
            return fitting
        return {BY_EFFECT: list(by_cover(attribution, _costs(subject, keeping))), **fitting}

    return orders


def orders_around(
    before: Runner, after: Runner, screen: Screen, subject: Subject, trials: Trials, *, first: Orders, number: int
) -> Orders:
    """The layers that the best so far keeps, and the order by the effect of each layer around it.

    A first-order effect holds near the model that it is taken at. The best protection of a round is nearer to that of
    the next than the candidate without any. Where there is no such effect, the first orders are tried once more: by
    other points they may come to something else.

    Args:
        before: Runs the reference.
        after: Runs the candidate.
        screen: The points, learned ones among them.
        subject: The candidate.
        trials: What was decoded.
        first: What ``first_orders`` gave.
        number: Of the round.

    Raises:
        TimeUpError: No time is left.
    """
    best, every = trials.best_decoded, early_first(after.architecture)
    if best is None:
        return first
    own = {name: after.module(name) for name in every}
    with swapped(after.model, best.keeping.donor(best.names), best.names):
        attribution = attribute(before.model, after, screen.points, every, trials.clock.check, layers=own)
    if attribution is not None:
        kept = [place for place, name in enumerate(every) if name in best.names]
        margins = attribution.margins - attribution.effects[:, kept].sum(dim=1)
        attribution = replace(attribution, margins=margins)  # those without any protection, seen from the best

    def orders(keeping: Keeping) -> Mapping[str, Sequence[str]]:
        if attribution is None:
            found = {f"{way}, round {number}": order for way, order in first(keeping).items()}
        else:
            found = {f"{BY_EFFECT}, round {number}": by_cover(attribution, _costs(subject, keeping))}
        return {f"the best so far, round {number}": best.names, **found} if keeping.at == best.keeping.at else found

    return orders


def _costs(subject: Subject, keeping: Keeping) -> dict[str, float]:
    """Bits that each layer takes on top, of those that gain by a precision."""
    return {name: subject.stored.extra_bits([name], keeping.bits) for name in subject.stored.protectable(keeping.bits)}
