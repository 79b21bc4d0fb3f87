"""What holds for every variant that is quantized in process, on the tiny model."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from optimum.quanto.library import extensions
from torch import nn
from transformers import PreTrainedModel

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.dense import is_readable, weight_in
from pytest_quantgate.variants.loading import layers_to_quantize
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES
from pytest_quantgate.variants.plain import BACKEND as PLAIN
from pytest_quantgate.variants.registry import backend_of
from pytest_quantgate.variants.rtn_loading import round_layers
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.unit.variants.distances import distance, logits, measured

LINEAR_LAYERS = 14

# rows have 64 columns, those of down_proj 128: 0.222 is the mean of 16 bits for each
BITS = {
    **{f"rtn:{bits}bit": bits + 32 / 64 for bits in range(2, 9)},
    "rtn:4bit-g32": 4 + 32 / 32,
    "quanto:int8": 8.222,
    "quanto:float8": 8.222,
    "quanto:int4": 4.444,  # rows of up to 128 columns are one group
    "quanto:int2": 2.444,
    "torchao:int8": 8.556,
    "torchao:float8": 8.444,
    "torchao:nvfp4": 4.895,  # scales are laid out in whole tiles
    "torchao:int8-dynamic": 8.556,
}
WEIGHT_ONLY = ["nf4", "fp4", "nf4:double", *(spec for spec in BITS if not spec.startswith("rtn") and "dyn" not in spec)]

# in float32; bitsandbytes' kernels compute in bfloat16 on some CPUs
BOUNDS = dict.fromkeys(WEIGHT_ONLY, 1e-4) | dict.fromkeys(("nf4", "fp4", "nf4:double"), 0.02)

Load = Callable[..., LoadedModel]


def prepared(folder: Path, spec: str, kernels: str = "auto", dtype: str = "auto") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", compute_dtype=dtype, kernels=kernels)


@pytest.fixture(scope="module")
def load(pristine: Path) -> Load:
    """Loads a variant of the tiny model, each once."""
    kept: dict[tuple[str, str], LoadedModel] = {}

    def loaded(spec: str, kernels: str = "auto") -> LoadedModel:
        if (spec, kernels) not in kept:
            kept[spec, kernels] = load_variant(prepared(pristine, spec, kernels))
        return kept[spec, kernels]

    return loaded


@pytest.fixture(autouse=True)
def no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """quanto compiles its unpacking for the CPU, which takes a minute: here it is the same in Python."""

    def unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
        return torch.cat([(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)])

    monkeypatch.setattr(extensions.get_extension("quanto_cpp"), "_lib", SimpleNamespace(unpack=unpack))


def weight(model: LoadedModel) -> torch.Tensor:
    found: torch.Tensor = model.model.get_parameter("model.layers.1.mlp.down_proj.weight")
    return found


def held_behind_each(
    monkeypatch: pytest.MonkeyPatch, model: PreTrainedModel, of: Sequence[weakref.ref[Any]], work: Callable[[], None]
) -> list[int]:
    """How many of some objects there still are whenever a layer was replaced, without garbage collection."""
    found: list[int] = []
    put = type(model).set_submodule

    def noted(self: PreTrainedModel, *given: Any, **more: Any) -> None:
        put(self, *given, **more)
        found.append(sum(each() is not None for each in of))

    monkeypatch.setattr(type(model), "set_submodule", noted)
    gc.collect()
    gc.disable()
    try:
        work()
    finally:
        gc.enable()
    return found


@pytest.mark.parametrize("spec", ["nf4", "quanto:int8", "rtn:4bit"])
def test_of_layers_that_are_spread_out_only_one_is_held_both_ways(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    variant = prepared(pristine, spec, "dense")
    backend = backend_of(variant.spec.name)
    model = backend.load(variant.spec, pristine, variant.placement)
    replaced = (each for each in model.modules() if backend.stored_bytes(each) is not None)
    packed = [weakref.ref(getattr(each, "weight", each)) for each in replaced]
    found = held_behind_each(monkeypatch, model, packed, lambda: backend.finish(model, variant.placement))
    assert found == list(range(LINEAR_LAYERS, 0, -1))


def test_of_layers_that_are_rounded_only_one_is_held_both_ways(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = PLAIN.load(parse_spec("fp16"), pristine, prepared(pristine, "fp16").placement)
    plain = [weakref.ref(each.weight) for each in layers_to_quantize(model, ()).values()]
    found = held_behind_each(monkeypatch, model, plain, lambda: round_layers(model, parse_spec("rtn:4bit")))
    assert found == list(range(LINEAR_LAYERS, 0, -1))


@pytest.mark.parametrize(("spec", "bits"), BITS.items())
def test_the_audit_counts_packed_weights_and_their_scales(load: Load, spec: str, bits: float) -> None:
    audit = load(spec).audit
    assert (audit.modules_total, audit.modules_replaced) == (LINEAR_LAYERS + 1, LINEAR_LAYERS)
    assert audit.bits_per_weight == pytest.approx(bits, abs=5e-4)
    saved = audit.reference_bytes - audit.memory_bytes
    weights = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128)
    assert saved == pytest.approx(weights * (16 - bits) / 8, rel=1e-3)


@pytest.mark.parametrize("spec", BITS)
def test_it_is_described_before_it_is_loaded(pristine: Path, load: Load, spec: str) -> None:
    found = prepared(pristine, spec)
    bits = found.description.bits
    assert bits is not None
    assert str(int(bits)) in spec
    assert f"{bits}-bit" in found.summary
    assert found.summary.endswith("all linear layers except the output head")
    assert found.description.stored_bits == pytest.approx(load(spec).audit.bits_per_weight, abs=0.5)
    library = {"quanto": "optimum-quanto", "torchao": "torchao"}.get(spec.partition(":")[0])
    assert library is None or found.identity.fields[f"version:{library}"] != "none"


@pytest.mark.parametrize("spec", ["quanto:int4", "torchao:nvfp4"])
def test_memory_counts_native_weights_as_stored_and_dense_ones_as_computed(pristine: Path, spec: str) -> None:
    native, dense = (
        prepared(pristine, spec, kernels).needed_bytes - ALLOWANCE_BYTES for kernels in ("native", "dense")
    )
    weights = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128)
    assert dense - native == pytest.approx(weights * (32 - prepared(pristine, spec).description.stored_bits) / 8, abs=1)


@pytest.mark.parametrize("spec", WEIGHT_ONLY)
def test_native_kernels_compute_what_dense_ones_do(load: Load, spec: str) -> None:
    dense, native = load(spec, "dense"), load(spec, "native")
    assert [model.variant.placement.kernels for model in (dense, native)] == ["dense", "native"]
    assert dense.variant.identity != native.variant.identity
    for module in dense.model.modules():
        if hasattr(module, "in_features"):
            assert type(module) is nn.Linear
            assert type(module.weight.data) is torch.Tensor
            assert module.weight.dtype == torch.float32
    assert not hasattr(dense.model.config, "quantization_config")
    assert torch.allclose(logits(native), logits(dense), atol=BOUNDS[spec], rtol=BOUNDS[spec])
    assert distance(logits(dense), logits(load("fp16"))) > 1e-3


@pytest.mark.parametrize("spec", [*WEIGHT_ONLY, "int8", "torchao:int8-dynamic"])
def test_the_weight_of_a_native_layer_is_read_and_the_layer_stays(load: Load, spec: str) -> None:
    native = load(spec, "native")
    before = logits(native)
    layer: Any = native.model.get_submodule("model.layers.1.mlp.down_proj")
    assert is_readable(layer)
    found = weight_in(layer)
    assert (found.dtype, found.shape) == (torch.float32, (64, 128))
    if spec in WEIGHT_ONLY:
        assert distance(found, weight(load(spec, "dense"))) <= BOUNDS[spec]
    inputs = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert distance(inputs @ found.T, layer(inputs)) < 0.02
    assert torch.equal(logits(native), before)


@pytest.mark.parametrize("spec", ["quanto:int4", "torchao:int8", "torchao:int8-dynamic", "torchao:nvfp4"])
def test_native_layers_answer(pristine: Path, tmp_path: Path, spec: str) -> None:
    requests = [Request((Message("user", f"w{number} w3"),), 4) for number in range(3)]
    with CompletionCache(tmp_path / "answers.db") as cache:
        found = answer(prepared(pristine, spec, "native"), requests, cache, SilentProgress())
    assert all(found.completions[request.digest].token_ids for request in requests)


@pytest.mark.parametrize("kernels", ["dense", "native"])
def test_what_has_no_kernels_is_always_dense(pristine: Path, kernels: str) -> None:
    assert prepared(pristine, "rtn:4bit", kernels).placement.kernels == "dense"


@pytest.mark.parametrize("kernels", ["dense", "native"])
def test_what_quantizes_activations_is_always_native(load: Load, pristine: Path, kernels: str) -> None:
    assert prepared(pristine, "torchao:int8-dynamic", kernels).placement.kernels == "native"
    both = [logits(load(spec)) for spec in ("torchao:int8-dynamic", "torchao:int8")]
    assert 0 < distance(*both) < 0.05


FAMILIES = [
    ["fp16", *(f"rtn:{bits}bit" for bits in range(8, 1, -1))],
    ["fp16", "rtn:3bit-g16", "rtn:3bit-g32", "rtn:3bit"],
    ["fp16", "quanto:int8", "quanto:int4", "quanto:int2"],
    ["fp16", "torchao:int8", "torchao:nvfp4"],
    ["fp16", "int8", "nf4"],
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family[1])
def test_fewer_bits_are_farther_from_the_reference(load: Load, family: list[str]) -> None:
    bits, weights, answers = measured([load(spec) for spec in family])
    assert bits == sorted(set(bits), reverse=True)
    assert weights == sorted(set(weights))
    assert answers == sorted(set(answers))


@pytest.mark.parametrize("spec", ["rtn:3bit", "quanto:int4", "torchao:int8", "torchao:nvfp4"])
def test_loading_again_gives_the_same(load: Load, pristine: Path, spec: str) -> None:
    again = load_variant(prepared(pristine, spec))
    assert torch.equal(logits(again), logits(load(spec)))
    assert again.variant.identity == load(spec).variant.identity
    assert again.audit == load(spec).audit


@pytest.mark.parametrize("kernels", ["dense", "native"])
@pytest.mark.parametrize("spec", ["rtn:4bit", "quanto:int8", "quanto:int4", "torchao:float8", "torchao:nvfp4"])
def test_another_compute_dtype_will_do(load: Load, pristine: Path, spec: str, kernels: str) -> None:
    model = load_variant(prepared(pristine, spec, kernels, "bfloat16"))
    assert logits(model).dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.bfloat16}
    assert distance(logits(model), logits(load(spec))) < 0.05


@pytest.mark.parametrize("spec", ["rtn:4bit", "quanto:int4", "torchao:int8", "torchao:nvfp4", "torchao:int8-dynamic"])
def test_skipped_modules_stay_as_they_are(load: Load, pristine: Path, spec: str) -> None:
    model = load_variant(prepared(pristine, f"{spec},skip=model.layers.0+down_proj+self_attn"))
    assert model.audit.modules_replaced == 2
    parent = load("bf16" if spec == "torchao:nvfp4" else "fp16")
    assert torch.equal(weight(model), weight(parent))
    assert torch.equal(model.model.lm_head.weight, parent.model.lm_head.weight)
    with pytest.raises(SpecError, match="did you mean 'down_proj'"):
        prepared(pristine, f"{spec},skip=down_prj")


def test_native_quanto_without_a_compiler_is_an_error_and_dense_needs_none(
    load: Load, pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object) -> torch.Tensor:
        raise OSError("no ninja")

    before = logits(load("quanto:int4", "dense"))
    monkeypatch.setattr(extensions.get_extension("quanto_cpp"), "_lib", SimpleNamespace(unpack=unpack))
    with pytest.raises(ModelError, match=r"cannot be compiled: no ninja\n.*--quant-kernels dense, which needs none"):
        load_variant(prepared(pristine, "quanto:int4", "native"))
    assert torch.equal(logits(load_variant(prepared(pristine, "quanto:int4", "dense"))), before)


def test_memory_that_runs_out_while_weights_are_quantized_is_told_as_that(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("transformers.integrations.quanto.QuantoQuantize.convert", convert)
    with pytest.raises(ModelError, match="the model does not fit in memory"):
        load_variant(prepared(pristine, "quanto:int8"))


@pytest.mark.parametrize("spec", ["quanto:int8", "torchao:int8-dynamic", "rtn:4bit"])
def test_nothing_is_said_while_it_loads_and_runs(
    pristine: Path, spec: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    logits(load_variant(prepared(pristine, spec)))
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
