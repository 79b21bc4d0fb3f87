"""Points and readings that no model made, and a look at what was made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import log
from typing import Any

import torch

from pytest_quantgate.diagnosis.capture import Reading
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Grid, Group, Place, Side
from pytest_quantgate.diagnosis.points import Point
from tests.unit.diagnosis.probes.chance import normal

LAYERS, WIDTH, NEURONS, HEADS, TOKENS = 3, 128, 200, 2, 6
SUBJECT = 2


def point(name: str, *, degraded: bool = True, subject: int | None = SUBJECT) -> Point:
    return Point(name, degraded, tuple(range(TOKENS)), 5, 7, (), TOKENS, subject)


def points(number: int, **how: Any) -> list[Point]:
    return [point(f"case {each}", **how) for each in range(number)]


def reading(seed: int, places: int = 2) -> Reading:
    """Random activations of one case: the target's probability is 1/2, the rival's 1/4."""
    attention = normal(places, LAYERS, HEADS, TOKENS, seed=seed).softmax(dim=-1)
    if places > 1:
        attention[1, ..., SUBJECT + 1 :] = 0
    return Reading(
        residual=normal(places, LAYERS + 1, WIDTH, seed=seed),
        attention_out=normal(places, LAYERS, WIDTH, seed=seed + 1000),
        feed_forward_out=normal(places, LAYERS, WIDTH, seed=seed + 2000),
        gate=normal(places, LAYERS, NEURONS, seed=seed + 3000),
        neurons=normal(places, LAYERS, NEURONS, seed=seed + 4000),
        attention=attention / attention.sum(dim=-1, keepdim=True),
        lens=torch.tensor([0.5, 1.0, 0.7, log(0.5)]).expand(places, LAYERS + 1, 4),
        rival_log_probability=log(0.25),
        broken_layer=None,
    )


def readings(those: Sequence[Point]) -> dict[str, Reading]:
    return {each.case_id: reading(seed, 1 + (each.subject is not None)) for seed, each in enumerate(those)}


def changed(those: Mapping[str, Reading], change: Callable[[Reading], dict[str, Any]]) -> dict[str, Reading]:
    return {name: replace(each, **change(each)) for name, each in those.items()}


def noisy(those: Mapping[str, Reading], size: float) -> dict[str, Reading]:
    """All activations with noise of a size relative to theirs."""
    names = ("residual", "attention_out", "feed_forward_out", "gate", "neurons")
    return {
        name: replace(
            each,
            **{
                field: getattr(each, field) + size * normal(*getattr(each, field).shape, seed=9000 + 10 * case + number)
                for number, field in enumerate(names)
            },
        )
        for case, (name, each) in enumerate(those.items())
    }


def curve(
    found: Measured,
    measure: str,
    place: Place = "parting",
    *,
    group: Group = "degraded",
    side: Side = "both",
    part: str = "",
) -> Curve:
    wanted = (measure, group, place, side, part)
    (one,) = (each for each in found.curves if (each.measure, each.group, each.place, each.side, each.part) == wanted)
    return one


def grid(found: Measured, measure: str, part: str = "", side: Side = "both") -> Grid:
    wanted = (measure, "degraded", side, "parting", part)
    (one,) = (each for each in found.grids if (each.measure, each.group, each.side, each.place, each.part) == wanted)
    return one


def named(found: Measured) -> set[str]:
    """Every measure there is a number of."""
    names = {each.measure for each in found.values} | {each.measure for each in found.curves}
    return names | {each.measure for each in found.grids}
