"""Mixed precision: every layer is what its own spec would make of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedModel

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants import gptq_making, identity
from pytest_quantgate.variants.bitsandbytes import BitsAndBytesBackend
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.memory import ALLOWANCE_BYTES
from pytest_quantgate.variants.registry import Description, Entry, register, unregister
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.unit.variants.distances import measured

LINEAR_LAYERS = 14
MIXED = "mix:layers.0.mlp=rtn:8bit-g32;v_proj=bf16;q_proj=int8;layers.*.self_attn=nf4;layers.1=fp4:double"


def prepared(folder: Path, spec: str, kernels: str = "auto") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", kernels=kernels)


def loaded(folder: Path, spec: str, kernels: str = "auto") -> LoadedModel:
    return load_variant(prepared(folder, spec, kernels))


def answers_of(model: LoadedModel) -> torch.Tensor:
    network: Any = model.model
    with torch.inference_mode():
        found: torch.Tensor = network(torch.tensor([[2, 4, 10, 11, 12, 13]])).logits
    return found


def layer(model: LoadedModel, name: str) -> torch.Tensor:
    weight: torch.Tensor = model.model.get_submodule(f"model.layers.{name}").get_parameter("weight")
    return weight


@pytest.fixture(scope="module")
def mixed(pristine: Path) -> LoadedModel:
    return loaded(pristine, MIXED)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("0.mlp.up_proj", "rtn:8bit-g32"),
        ("0.mlp.down_proj", "rtn:8bit-g32"),
        ("0.self_attn.v_proj", "bf16"),
        ("1.self_attn.o_proj", "nf4"),
        ("1.mlp.gate_proj", "fp4:double"),
    ],
)
def test_a_layer_is_what_its_spec_alone_would_make_of_it(
    pristine: Path, mixed: LoadedModel, name: str, spec: str
) -> None:
    own = layer(loaded(pristine, spec), name)
    assert torch.equal(layer(mixed, name), own)
    assert not torch.equal(own, layer(loaded(pristine, "fp16"), name))


def test_a_part_that_quantizes_activations_keeps_its_kernels(mixed: LoadedModel) -> None:
    assert mixed.variant.placement.kernels == "dense"
    kinds = [type(module) for module in mixed.model.modules()]
    assert kinds.count(Linear8bitLt) == 2
    assert kinds.count(Linear4bit) == 0
    assert answers_of(mixed).isfinite().all()


def test_a_part_of_gptq_has_the_layers_of_the_model_that_is_made_once(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gptq_making, "sequences_for", lambda *_: 2)  # what it reads is tested elsewhere
    part, notes = "gptq:4bit-g64", list[str]()
    variant = prepared(pristine, f"mix:mlp={part};*=rtn:8bit-g32")
    assert variant.summary == f"mixed: of 14 linear layers 6 {part}, 8 rtn:8bit-g32"
    mixed = load_variant(variant, notes.append)
    made = len(notes)
    alone = load_variant(prepared(pristine, part), notes.append)
    assert (made > 0, notes[made:]) == (True, [])
    for name in ("0.mlp.up_proj", "1.mlp.down_proj"):
        assert torch.equal(layer(mixed, name), layer(alone, name))
    rounded, name = loaded(pristine, "rtn:8bit-g32"), "1.self_attn.q_proj"
    assert torch.equal(layer(mixed, name), layer(rounded, name))
    assert not torch.equal(layer(alone, name), layer(rounded, name))
    assert mixed.audit.modules_replaced == LINEAR_LAYERS
    assert alone.audit.bits_per_weight < mixed.audit.bits_per_weight < rounded.audit.bits_per_weight


def test_native_kernels_are_those_of_each_part(pristine: Path) -> None:
    spec = "mix:down_proj=rtn:8bit-g32;mlp=nf4"
    native, dense = loaded(pristine, spec, "native"), loaded(pristine, spec)
    assert native.variant.placement.kernels == "native"
    assert type(native.model.get_submodule("model.layers.0.mlp.up_proj")) is Linear4bit
    assert type(native.model.get_submodule("model.layers.0.mlp.down_proj")) is nn.Linear  # it has no kernels
    assert torch.allclose(answers_of(native), answers_of(dense), atol=0.02, rtol=0.02)


@pytest.mark.parametrize("kernels", ["dense", "native"])
def test_parts_of_different_libraries_are_each_as_alone(pristine: Path, kernels: str) -> None:
    parts = {"0.self_attn.q_proj": "quanto:int8", "1.self_attn.q_proj": "torchao:int8", "0.mlp.up_proj": "nf4"}
    spec = ";".join(f"layers.{name}={part}" for name, part in parts.items())
    mixed = loaded(pristine, f"mix:{spec}", kernels)
    inputs = torch.randn(3, 64)
    for name, part in parts.items():
        own = loaded(pristine, part, kernels)
        with torch.inference_mode():
            found, expected = (each.model.get_submodule(f"model.layers.{name}")(inputs) for each in (mixed, own))
        assert torch.equal(found, expected), part
    assert mixed.audit.modules_replaced == 3


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("torchao:int4", r"torchao:int4: of torchao's kernels .* the device is a CPU\n  use a CUDA device"),
        ("rtn:4bit-g48", r"rtn:4bit-g48: \S+_proj does not fit: .*\n  use groups that divide"),
    ],
)
def test_a_part_that_cannot_run_here_is_refused_before_loading(pristine: Path, part: str, reason: str) -> None:
    spec = f"mix:q_proj={part};*=nf4"
    with pytest.raises(SpecError, match=f"^variant '{re.escape(spec)}': {reason}"):
        prepared(pristine, spec)


def test_what_no_pattern_matches_stays_and_one_spec_for_all_is_that_spec(pristine: Path) -> None:
    plain = loaded(pristine, "fp16")
    assert torch.equal(answers_of(loaded(pristine, "mix:*=nf4")), answers_of(loaded(pristine, "nf4")))
    part = loaded(pristine, "mix:down_proj=nf4")
    assert torch.equal(layer(part, "0.mlp.up_proj"), layer(plain, "0.mlp.up_proj"))
    assert not torch.equal(answers_of(part), answers_of(plain))


def test_more_layers_at_fewer_bits_are_farther_from_the_reference(pristine: Path) -> None:
    maps = ("*=rtn:8bit", "layers.0=rtn:8bit;*=rtn:4bit", "*=rtn:4bit")
    family = [loaded(pristine, spec) for spec in ("fp16", *(f"mix:{each}" for each in maps))]
    bits, weights, answers = measured(family)
    assert bits == [16, 8.5, 6.5, 4.5]
    assert weights == sorted(set(weights))
    assert answers == sorted(set(answers))


def test_audit_and_description_count_each_part(pristine: Path) -> None:
    found = loaded(pristine, "mix:down_proj=int8;layers.0.self_attn=fp16;*=nf4")
    small, large = loaded(pristine, "nf4").audit, loaded(pristine, "int8").audit
    attention, down = 2 * 64 * 64 + 2 * 64 * 32, 64 * 128
    weights = {"nf4": attention + 4 * down, "int8": 2 * down}
    assert found.audit.modules_total == LINEAR_LAYERS + 1
    assert found.audit.modules_replaced == LINEAR_LAYERS - 4
    eight = 8 * (64 * 128 + 64 * 4) / (64 * 128)  # a scale of 32 bits for each row of 128
    assert found.audit.bits_per_weight == pytest.approx(
        (4.5 * weights["nf4"] + eight * weights["int8"]) / sum(weights.values())
    )
    assert small.memory_bytes < found.audit.memory_bytes < found.audit.reference_bytes
    assert large.reference_bytes == found.audit.reference_bytes
    description = found.variant.description
    assert description.summary == "mixed: of 14 linear layers 2 int8, 8 nf4, 4 fp16"
    assert description.bits == pytest.approx(
        (8 * weights["int8"] + 16 * attention + 4 * weights["nf4"]) / (2 * attention + 6 * down), abs=0.01
    )


def test_a_mix_that_quantizes_nothing_has_no_limit_of_bits(pristine: Path) -> None:
    description = loaded(pristine, "mix:*=bf16").variant.description
    assert description.max_bits is None
    assert description.summary == "mixed: of 14 linear layers 14 bf16"


@pytest.mark.parametrize("spec", ["nf4", "int8", "rtn:8bit-g32", "quanto:int8", "torchao:int8", "gptq:4bit-g64"])
def test_an_output_head_that_its_spec_leaves_alone_is_refused_before_loading(
    pristine: Path, tmp_path: Path, spec: str
) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(f"'*': nf4\nlm_*: {spec}\n")
    for text, where in ((inline := f"mix:lm_head={spec};*=nf4", f"variant {inline!r}"), (f"mix:{path}", f"{path}:2")):
        with pytest.raises(SpecError) as caught:
            prepared(pristine, text)
        assert caught.value.where == where
        assert caught.value.what == f"{spec}: it leaves lm_head as it is, and the map gives it to {spec}"
        assert caught.value.hint == "give it another spec, or fp16, in a pattern of its own above"


def test_an_output_head_may_be_given_what_rounds_it(pristine: Path) -> None:
    assert prepared(pristine, "mix:lm_head=bf16;*=nf4").summary == "mixed: of 15 linear layers 14 nf4, 1 bf16"


def test_a_pattern_that_matches_nothing_is_found_before_loading(pristine: Path) -> None:
    with pytest.raises(SpecError, match=r"no linear layer 'downproj'\n.*did you mean 'down_proj'"):
        prepared(pristine, "mix:downproj=nf4")


def test_the_map_is_the_identity_and_not_where_it_was_read(pristine: Path, tmp_path: Path) -> None:
    inline = prepared(pristine, "mix:down_proj=int8;*=nf4:double").identity
    one, other = tmp_path / "one.yaml", tmp_path / "other.json"
    one.write_text("down_proj: int8\n'*': nf4:double\n")
    other.write_text(json.dumps({"down_proj": " int8", "*": "nf4:double"}))
    variants = [prepared(pristine, f"mix:{path}") for path in (one, other)]
    assert [variant.identity for variant in variants] == [inline, inline]
    assert variants[0].label == f"mix:{one}"
    assert inline.fields["mix"] == "down_proj=int8;*=nf4:double"
    assert "version:bitsandbytes" in inline.fields
    for different in ("mix:down_proj=nf4:double;*=int8", "mix:down_proj=int8;*=nf4", "mix:down_proj=int8"):
        assert prepared(pristine, different).identity.digest != inline.digest
    assert prepared(pristine, "mix:down_proj=int8;*=nf4:double+kv:int8").identity.digest != inline.digest


def test_a_map_that_changes_before_it_is_loaded_is_an_error(pristine: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("down_proj: nf4\n")
    variant = prepared(pristine, f"mix:{path}")
    path.write_text("up_proj: nf4\n")
    with pytest.raises(ModelError, match="changed since the run began"):
        load_variant(variant)


def test_memory_counts_the_models_that_are_held_while_layers_are_moved(pristine: Path) -> None:
    def needed(spec: str, kernels: str) -> int:
        return prepared(pristine, spec, kernels).needed_bytes - ALLOWANCE_BYTES

    assert needed("mix:*=nf4", "dense") == needed("fp16", "dense")  # the weights spread out are more than all before
    layers = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    assert needed("mix:down_proj=nf4;*=fp4", "native") > needed("nf4", "native")
    description = prepared(pristine, "mix:*=nf4", "native").description
    assert description.loading_bytes >= 2 * layers  # the fp16 weights, before any is moved


class _Renamed(BitsAndBytesBackend):
    """A backend that another plugin brings: nf4 by another name, with a file behind it."""

    def describe(self, spec: VariantSpec) -> Description:
        return replace(super().describe(replace(spec, name="nf4")), identity={"calibration": "abc"})

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        return super().load(replace(spec, name="nf4"), folder, placement)

    def make(self, spec: VariantSpec, folder: Path, placement: Placement, note: Callable[[str], None]) -> None:
        note(f"making {spec} of {folder.name}, {placement.kernels}")


RENAMED = _Renamed()


@pytest.fixture
def renamed() -> Iterator[str]:
    register("renamed", Entry("tests.unit.variants.test_mix:RENAMED", requires={"torch": "torch"}))
    yield "renamed"
    unregister("renamed")


def test_backends_of_other_plugins_can_be_part_and_are_part_of_the_identity(
    pristine: Path, folder: Path, renamed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "packages_distributions", dict)  # it reads all that is installed
    variant = prepared(pristine, f"mix:down_proj={renamed}")
    assert variant.identity.fields["renamed calibration"] == "abc"
    assert variant.identity.fields["renamed backend_files"]
    notes: list[str] = []
    model = load_variant(variant, notes.append)
    assert notes == [f"making {renamed} of {pristine.name}, dense"]
    assert torch.equal(answers_of(model), answers_of(loaded(pristine, "mix:down_proj=nf4")))
    load_variant(prepared(pristine, f"mix:down_proj=({renamed}@{folder})"), notes.append)
    assert notes[1:] == [f"making {renamed}@{folder} of {folder.name}, dense"]


def test_a_layout_that_the_files_do_not_tell_is_resolved_when_it_is_loaded(folder: Path) -> None:
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        max_position_embeddings=128,
    )
    network: Any = MixtralForCausalLM(config)
    network.half().save_pretrained(folder)
    model = loaded(folder, "mix:q_proj=nf4")
    assert model.variant.description.summary == "mixed: q_proj nf4, all else fp16"
    assert model.audit.modules_replaced == 1
    assert torch.equal(layer(model, "0.self_attn.q_proj"), layer(loaded(folder, "nf4:skip=mlp"), "0.self_attn.q_proj"))
    with pytest.raises(SpecError, match="no linear layer 'experts'"):  # they are joined, and so no linear layers
        loaded(folder, "mix:experts=nf4")


def test_nothing_is_left_on_the_model_but_its_layers(mixed: LoadedModel) -> None:
    left = {name for module in mixed.model.modules() for name in vars(module) if name.startswith("quantgate")}
    # how the weights of layers that stay quantized are read, and whether they quantize what they are given
    assert left == {"quantgate_weight_of", "quantgate_activations"}
    assert sum(isinstance(module, nn.Linear) for module in mixed.model.modules()) == LINEAR_LAYERS + 1
