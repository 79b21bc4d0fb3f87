"""On a device that is not the CPU, pretended here, a diagnosis finds the same, and no tensor is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from math import nan
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis import pair as loading
from pytest_quantgate.diagnosis import search
from pytest_quantgate.diagnosis.capture import reading_of
from pytest_quantgate.diagnosis.causal import causal_tests
from pytest_quantgate.diagnosis.diagnose import Workshop, diagnose
from pytest_quantgate.diagnosis.low_rank import compensate
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Diagnosis, Grid, Value
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.sensitivity import attribute, by_kurtosis, early_first
from pytest_quantgate.generation import decode, forward
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.variants.variant import LoadedModel, Variant, on_device
from tests.pretended import DEVICE, pretended
from tests.unit.diagnosis.broken_pair import REGISTRY, Pair
from tests.unit.diagnosis.families import FAMILIES, TOKENS, tiny
from tests.unit.diagnosis.test_capture import point
from tests.unit.diagnosis.test_causal import damaged, network, parting

near = partial(torch.testing.assert_close, atol=1e-4, rtol=1e-4)


@pytest.fixture(autouse=True)
def one_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU no other kernels and no shorter way than elsewhere: what differs then is where tensors are."""
    monkeypatch.setattr(forward, "Linear", nullcontext)
    monkeypatch.setattr(decode, "short_step", lambda _: None)


def looks(runner: Runner) -> dict[str, torch.Tensor]:
    """What every method of a runner gives."""
    trace = runner.trace(TOKENS)
    rows: list[torch.Tensor] = []
    runner.attention(TOKENS, 4, lambda _, each: rows.append(each))
    found = {
        "states": trace.states,
        "logits": trace.logits,
        "keys": trace.memory[-1][0],
        "step": runner.step(trace, 1, trace.states[1]),
        "resumed": runner.resume(trace, 2, trace.states[2, 5:][None].repeat(2, 1, 1), 5),
        "lens": runner.lens(trace.states[:, -1]),
        "choices": runner.choices(TOKENS, 3),
        "attention": torch.stack(rows),
    }
    return {name: each.cpu() for name, each in found.items() if each.device == runner.model.device}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_watched_and_begun_in_the_middle_there(family: str) -> None:
    model = tiny(family)
    wanted = looks(Runner(model))
    with pretended(model):
        found = looks(Runner(model))
    assert found.keys() == wanted.keys()
    assert len(found) == 8
    for name, each in found.items():
        near(each, wanted[name], msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_readings_are_the_same_and_on_the_cpu(family: str) -> None:
    model, at = tiny(family), point(subject=3)
    wanted = reading_of(Runner(model), at)
    with pretended(model):
        found = reading_of(Runner(model), at)
        for name in ("residual", "attention_out", "feed_forward_out", "neurons", "attention", "lens"):
            each = getattr(found, name)
            assert each.device.type == "cpu", name
            near(each, getattr(wanted, name), msg=name)
        assert found.gate is None or found.gate.device.type == "cpu"
    assert found.rival_log_probability == pytest.approx(wanted.rival_log_probability, abs=1e-4)
    assert found.broken_layer is None


def numbers(of: Measured | Diagnosis) -> dict[str, list[float]]:
    """Every number, under the name of what it is."""
    rows: list[tuple[Value | Curve | Grid, Sequence[float | None]]] = [(each, (each.value,)) for each in of.values]
    rows += [(each, each.values) for each in of.curves]
    rows += [(each, row) for each in of.grids for row in each.values]
    found: dict[str, list[float]] = {}
    for each, row in rows:
        name = f"{each.measure} {each.part} of {each.group}, {each.side} at {each.place}"
        found.setdefault(name, []).extend(nan if value is None else value for value in row)
    return found


def assert_near(found: dict[str, list[float]], wanted: dict[str, list[float]]) -> None:
    assert found.keys() == wanted.keys()
    for name, each in found.items():
        assert each == pytest.approx(wanted[name], abs=2e-3, nan_ok=True), name


@pytest.mark.parametrize("together", [True, False], ids=["both there", "the reference on the CPU"])
def test_parts_are_exchanged_there(*, together: bool) -> None:
    reference = network()
    candidate = damaged(reference, "layers.2.mlp.down_proj")
    points = parting(reference, candidate)
    wanted = causal_tests(Runner(reference), Runner(candidate), points, lambda _: None)
    with pretended(candidate, *([reference] if together else [])):
        found = causal_tests(Runner(reference), Runner(candidate), points, lambda _: None)
    if not together:  # no linear layer runs on both devices
        assert wanted.values
        wanted = replace(wanted, values=())
    assert_near(numbers(found), numbers(wanted))


def test_errors_of_layers_count_the_same_there() -> None:
    reference = network().requires_grad_(requires_grad=False)
    candidate = damaged(reference, "layers.1.self_attn.o_proj", "layers.2.mlp.down_proj")
    points, names = parting(reference, candidate), early_first(Runner(reference).architecture)
    order = by_kurtosis(candidate, names)
    effects, products = (
        attribute(reference, Runner(candidate), points, names),
        compensate(reference, Runner(candidate), points, 4),
    )
    with pretended(reference, candidate):
        again = attribute(reference, Runner(candidate), points, names)
        others: Any = compensate(reference, Runner(candidate), points, 4)
        assert by_kurtosis(candidate, names) == order
        made = {name: (layer.left @ layer.right).cpu() for name, layer in others.items()}
        assert {layer.left.device.type for layer in others.values()} == {"cuda"}
    assert effects is not None
    assert again is not None
    assert products is not None
    near(again.margins, effects.margins)
    near(again.effects, effects.effects)
    assert float(effects.effects.abs().max()) > 0.01
    for name in names:
        layer: Any = products[name]
        near(made[name], layer.left @ layer.right, atol=1e-3, msg=name)


def diagnosed(pair: Pair, monkeypatch: pytest.MonkeyPatch, device: str) -> Diagnosis:
    """Of variants on a device, which are in memory already."""
    known = {str(each.variant.spec): each for each in (pair.reference, pair.candidate)}

    def load(variant: Variant, *_: object) -> LoadedModel:
        assert variant.device == device
        return replace(known[str(variant.spec)], variant=variant)

    monkeypatch.setattr(loading, "load_variant", load)
    monkeypatch.setattr(search, "ROUNDS", 1)
    return diagnose(
        "words",
        pair.comparisons,
        on_device(pair.reference.variant, device),
        on_device(pair.candidate.variant, device),
        workshop=Workshop(RepairLimits(), REGISTRY),
        progress=SilentProgress(),
    )


def test_a_whole_diagnosis_finds_the_same_there(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = diagnosed(pair, monkeypatch, "cpu")
    with pretended(pair.reference.model, pair.candidate.model, free=16 << 30):
        found = diagnosed(pair, monkeypatch, DEVICE)
    assert (found.mode, found.sample, found.notes) == (wanted.mode, wanted.sample, wanted.notes)
    assert found.curves
    assert_near(numbers(found), numbers(wanted))
    assert found.repair is not None
    assert wanted.repair is not None
    assert found.repair.chosen is not None
    assert found.repair.chosen == wanted.repair.chosen
    assert {each.way for each in found.repair.trials} == {each.way for each in wanted.repair.trials}
