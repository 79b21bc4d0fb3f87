"""Quantized layers that run by their own kernels: their errors count as those of ordinary layers do."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_quantgate.diagnosis import search
from pytest_quantgate.diagnosis.donors import donor_of
from pytest_quantgate.diagnosis.low_rank import compensate
from pytest_quantgate.diagnosis.orders import BY_EFFECT
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.sensitivity import attribute, by_cover, early_first
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.diagnosis.weights import unread
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.dense import weight_in
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.compressed_checkpoints import compressed_tensors
from tests.tiny_model import build_tiny_model
from tests.unit.diagnosis.broken_pair import pair_of
from tests.unit.diagnosis.families import tiny

TEXTS = [[6 + (7 * text + 31 * place) % 250 for place in range(11)] for text in range(8)]
W8A8 = "stored"  # a checkpoint of compressed-tensors, see ``loaded``
WEIGHTS = pytest.mark.parametrize("spec", ["nf4", "quanto:int8"])
ACTIVATIONS = pytest.mark.parametrize("spec", ["int8", "torchao:int8-dynamic", W8A8])
EACH = pytest.mark.parametrize("spec", ["nf4", "int8", "quanto:int8", "torchao:int8-dynamic"])
LAST = "model.layers.1.mlp.down_proj"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, its weights and activations of 8 bits."""
    found = tmp_path_factory.mktemp("w8a8")
    compressed_tensors({"Linear": "W8A8"})(folder, found)
    return found


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


def loaded(folder: Path, spec: str, kernels: str = "auto") -> LoadedModel:
    return load_variant(prepare_variant(spec, resolve_model(str(folder)), device="cpu", kernels=kernels))


def dense(folder: Path, spec: str) -> Any:
    """A model of ordinary layers with the weights that a quantized one stands for."""
    if spec in {"nf4", "quanto:int8"}:
        return loaded(folder, spec, "dense").model
    model: Any = loaded(folder, "fp16").model
    native = loaded(folder, spec, "native").model
    for name in early_first(Runner(model).architecture):
        weight = model.get_parameter(f"{name}.weight")
        if spec == "int8":  # rows are rounded here, since nothing spreads them out
            scales = weight.abs().amax(dim=1, keepdim=True) / 127
            weight.copy_((weight / scales).round() * scales)
        else:
            weight.copy_(weight_in(native.get_submodule(name)))
    return model


def points() -> list[Point]:
    return [
        Point(f"case {number}", True, tuple(text), 20 + number, 90 + number, (), len(text))  # noqa: FBT003
        for number, text in enumerate(TEXTS)
    ]


def far(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor(TEXTS)).logits
    return found


@WEIGHTS
def test_the_order_by_effect_is_that_of_ordinary_layers_of_the_same_weights(folder: Path, spec: str) -> None:
    reference, native = loaded(folder, "fp16").model, loaded(folder, spec, "native").model
    before = logits(native)
    names = early_first(Runner(native).architecture)
    assert type(native.get_submodule(names[0])) is not nn.Linear
    expected = attribute(reference, Runner(dense(folder, spec)), points(), names)
    found = attribute(reference, Runner(native), points(), names)
    assert expected is not None
    assert found is not None
    assert found.margins.isfinite().all()
    assert far(found.margins, expected.margins) < 0.1
    assert far(found.effects, expected.effects) < 0.2
    first, other = (by_cover(each, dict.fromkeys(names, 1.0)) for each in (found, expected))
    assert first[0] == other[0]
    assert len({*first[:4]} & {*other[:4]}) >= 3
    assert torch.equal(logits(native), before)


def margins(model: Any) -> torch.Tensor:
    """At the points, of the reference's token over the candidate's; each is read alone, as int8 depends on a batch."""
    with torch.no_grad():
        last = [model(torch.tensor([point.token_ids])).logits[0, -1] for point in points()]
    pairs = zip(last, points(), strict=True)
    return torch.stack([each[point.target] - each[point.rival or 0] for each, point in pairs])


@ACTIVATIONS
def test_the_effect_of_a_layer_that_quantizes_activations_is_what_its_output_lacks(
    folder: Path, made: Path, spec: str
) -> None:
    reference, native = loaded(folder, "fp16").model, loaded(made if spec == W8A8 else folder, spec, "native").model
    broken: Any = deepcopy(reference)
    broken.set_submodule(LAST, native.get_submodule(LAST))
    names = early_first(Runner(reference).architecture)
    found = attribute(reference, Runner(broken), points(), names)
    assert found is not None
    assert far(found.margins, margins(broken)) < 0.02
    of_all = dict(zip(names, found.effects.T, strict=True))
    # behind the last layer there is little more than a product, so the first order is nearly all
    assert far(of_all.pop(LAST), margins(reference) - margins(broken)) < 0.15
    assert not torch.stack(list(of_all.values())).any()


@ACTIVATIONS
def test_what_lies_below_layers_that_quantize_activations_has_its_effect_through_them(
    folder: Path, made: Path, spec: str
) -> None:
    reference, native = loaded(folder, "fp16").model, loaded(made if spec == W8A8 else folder, spec, "native").model
    before = logits(native)
    names = early_first(Runner(native).architecture)
    found = attribute(reference, Runner(native), points(), names)
    assert found is not None
    assert far(found.margins, margins(native)) < 0.02
    assert found.effects.isfinite().all()
    assert found.effects.any(dim=0).all()  # also of the first layer's
    assert torch.equal(logits(native), before)


@EACH
def test_errors_are_compensated_by_nearly_the_same_products(folder: Path, spec: str) -> None:
    reference, native = loaded(folder, "fp16").model, loaded(folder, spec, "native").model
    expected: Any = compensate(reference, Runner(dense(folder, spec)), points(), 8)
    found: Any = compensate(reference, Runner(native), points(), 8)
    assert expected is not None
    assert found is not None
    products = [
        torch.cat([(layer.left @ layer.right).flatten() for layer in each.values()]) for each in (found, expected)
    ]
    assert far(*products) < 0.2
    right, broken = logits(reference), logits(native)
    with swapped(native, donor_of(found), found):
        assert far(logits(native), right) < 0.95 * far(broken, right)


def test_a_search_has_both_on_native_kernels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ROUNDS", 1)
    pair = pair_of(loaded(folder, "fp16"), loaded(folder, "quanto:int8", "native"))
    ways = [trial.way for trial in pair.search(cases=4, max_bits=11.0).trials]
    assert BY_EFFECT in ways
    assert any(way.startswith("errors compensated by products of rank ") for way in ways)


def test_what_only_kernels_know_is_told() -> None:
    class Packed(nn.Linear):
        pass

    before, after = Runner(tiny("Llama"), name="fp16"), Runner(deepcopy(tiny("Llama")), name="odd")
    names = early_first(after.architecture)
    assert unread(before, after, names) is None
    for name in names[1:3]:
        after.model.set_submodule(name, Packed(32, 16, bias=False))
    assert unread(before, after, names) == (
        "the weights of odd cannot be read in model.layers.0.self_attn.k_proj and 1 more, which only its own kernels "
        "know: layers were not put in order by their effect on the cases, and errors were not compensated"
    )
