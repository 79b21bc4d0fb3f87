"""Repairs that no variant can do, tried for what they say. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pytest_quantgate.diagnosis.amplify import FACTOR, amplify
from pytest_quantgate.diagnosis.donors import donor_of
from pytest_quantgate.diagnosis.low_rank import compensate, factor_bits, rank_within
from pytest_quantgate.diagnosis.model import NO_VARIANT, Trial
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen, Screened
from pytest_quantgate.diagnosis.sensitivity import early_first
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.diagnosis.trials import Trials
from pytest_quantgate.diagnosis.weights import all_readable, shapes_of

_AMPLIFIED: Final = f"most confident layer amplified by {FACTOR:g} {NO_VARIANT}"
_COMPENSATED: Final = f"errors compensated by products of rank {{}} {NO_VARIANT}"


def further(trials: Trials, as_is: Trial, screen: Screen, before: Runner, after: Runner) -> Iterator[Trial]:
    """Peak-signal amplification, alone and on top of the best protection; and low-rank compensation of all layers.

    Args:
        trials: What was screened so far.
        as_is: The candidate without any.
        screen: Its points. Products are fitted to the preserved ones; without any there is no compensation.
        before: Runs the reference.
        after: Runs the candidate.

    Yields:
        Trials by known answers; each has the spec of the variant that it builds on.

    Raises:
        TimeUpError: No time is left.
    """
    check = trials.clock.check

    def trial(base: Trial, way: str, found: Screened) -> Trial:
        return replace(
            base,
            turned_back=len(found.turned),
            degraded=len(screen.degraded_cases),
            lost=len(found.lost),
            preserved=len(screen.preserved_cases),
            stage="screened",
            way=way,
        )

    if after.n_layers > 1:
        yield trial(as_is, _AMPLIFIED, amplify(after, screen.good, check))
        best = trials.best
        if best is not None and best.screened.net > 0:
            check()
            with swapped(after.model, best.keeping.donor(best.names), best.names):
                found = amplify(after, screen.good, check)
            yield trial(best.trial, f"{best.trial.way}, and {_AMPLIFIED}", found)
    names = early_first(after.architecture)
    if not screen.preserved or not all(all_readable(each.model, names) for each in (before, after)):
        return
    shapes = shapes_of(after.model, names)
    rank = rank_within(shapes, trials.room)
    if rank is None:
        return
    layers = compensate(before.model, after, screen.preserved, rank, check=check)
    if layers is None:
        return
    extra = factor_bits(shapes, rank)
    base = replace(
        as_is,
        bits=as_is.bits + extra / trials.weights,
        memory_bytes=None if as_is.memory_bytes is None else as_is.memory_bytes + extra // 8,
    )
    yield trial(base, _COMPENSATED.format(rank), screen.tried(donor_of(layers), names))
