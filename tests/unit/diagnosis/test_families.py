"""Each family of decoders, broken in one layer: causal tests find it, and keeping its modules repairs it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis.causal import causal_tests
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.screening import Screen, Screened
from pytest_quantgate.diagnosis.sensitivity import attribute, early_first
from tests.unit.diagnosis.families import FAMILIES, LAYERS, VOCABULARY, tiny

BROKEN = 2
TEXTS = 40
TOKENS = 8
POINTS = 3


def broken(model: Any, names: list[str]) -> Any:
    """Noise as large as the weights in some linear modules."""
    copy = deepcopy(model)
    torch.manual_seed(1)
    for name in names:
        weight = copy.get_submodule(name).weight
        weight += weight.std() * torch.randn_like(weight)
    return copy


def degraded(reference: Any, candidate: Any) -> list[Point]:
    """Random texts behind which the two go on with different tokens."""
    texts = torch.randint(2, VOCABULARY, (TEXTS, TOKENS), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        targets, rivals = (each(texts).logits[:, -1].argmax(-1).tolist() for each in (reference, candidate))
    return [
        Point(str(number), True, tuple(text), target, rival, (), TOKENS)  # noqa: FBT003
        for number, (text, target, rival) in enumerate(zip(texts.tolist(), targets, rivals, strict=True))
        if target != rival
    ][:POINTS]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_broken_layer_is_found_and_repaired(family: str) -> None:
    reference = tiny(family)
    before = Runner(reference)
    own = list(before.architecture.layers[BROKEN].linear.values())
    candidate = broken(reference, own)
    after, points = Runner(candidate), degraded(reference, candidate)
    assert len(points) == POINTS

    found = causal_tests(before, after, points, lambda _: None)
    curves = {each.measure: each.values for each in found.curves}
    assert curves["domino"] == tuple(float(first <= BROKEN) for first in range(LAYERS + 1))
    assert curves["one_layer"] == tuple(float(each != BROKEN) for each in range(LAYERS))

    every = early_first(before.architecture)
    attribution = attribute(reference, after, points, every)
    assert attribution is not None
    concerned = {
        name for name, effect in zip(every, attribution.effects.abs().sum(dim=0).tolist(), strict=True) if effect
    }
    assert concerned == set(own)

    screen = Screen(before, after, points)
    others = [name for name in every if name not in own]
    assert screen.tried(reference, own) == Screened(frozenset(each.case_id for each in points))
    assert screen.tried(reference, others) == Screened()
