"""Mixes of several models: layers of a checkpoint made elsewhere beside those of the plain weights."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.mix_fit import check_loaded
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.gguf_files import write_gguf
from tests.unit.variants.conftest import CHAT_TEMPLATE
from tests.unit.variants.distances import logits

LAYERS = 14
UP = "model.layers.0.mlp.up_proj"

Make = Callable[[str], Path]
Edit = Callable[[Callable[[dict[str, Any]], None]], None]


def prepared(folder: Path, spec: str, kernels: str = "auto") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", kernels=kernels)


def loaded(folder: Path, spec: str, kernels: str = "auto") -> LoadedModel:
    return load_variant(prepared(folder, spec, kernels))


def layer(model: LoadedModel, name: str) -> torch.Tensor:
    weight: torch.Tensor = model.model.get_submodule(f"model.layers.{name}").get_parameter("weight")
    return weight


@pytest.mark.parametrize(
    "kind",
    [
        "awq",
        "bitsandbytes-4bit",
        "bitsandbytes-8bit",
        "compressed-tensors-W4A16",
        "compressed-tensors-W8A8",
        "fp8",
        "gptq",
        "quanto-int4",
        "torchao-int8",
    ],
)
def test_all_layers_of_a_checkpoint_made_elsewhere_answer_as_it_does(pristine: Path, made: Make, kind: str) -> None:
    alone, mixed = loaded(made(kind), "stored"), loaded(pristine, f"mix:*=(stored@{made(kind)})")
    assert torch.equal(logits(mixed), logits(alone))
    assert not torch.equal(logits(mixed), logits(loaded(pristine, "fp16")))
    assert mixed.variant.placement == alone.variant.placement
    assert mixed.audit.modules_replaced == LAYERS
    assert mixed.audit.bits_per_weight == alone.audit.bits_per_weight
    assert mixed.variant.description.bits == alone.variant.description.bits


def test_layers_of_a_gguf_file_are_those_of_the_file(tmp_path: Path) -> None:
    small, large = tmp_path / "small.gguf", tmp_path / "large.gguf"
    write_gguf(small, [Kind.Q4_0], gguf.LlamaFileType.MOSTLY_Q4_0, template=CHAT_TEMPLATE)
    write_gguf(large, [Kind.Q8_0], gguf.LlamaFileType.MOSTLY_Q8_0, template=CHAT_TEMPLATE)
    with pytest.raises(ModelError, match=r"small\.gguf: the model of a part of a mix, stored@\S+, is not on this mach"):
        prepared(large, f"mix:*=(stored@{small})")
    resolve_model(str(small))
    mixed = loaded(large, f"mix:layers.0=fp16;*=(stored@{small})")
    alone, plain = loaded(small, "stored"), loaded(large, "fp16")
    assert torch.equal(layer(mixed, "1.mlp.up_proj"), layer(alone, "1.mlp.up_proj"))
    assert torch.equal(layer(mixed, "0.mlp.up_proj"), layer(plain, "0.mlp.up_proj"))
    assert mixed.audit.modules_replaced == 2 * 7
    assert mixed.audit.bits_per_weight == pytest.approx(4.5)
    assert torch.equal(logits(loaded(large, f"mix:*=(stored@{small})")), logits(alone))


def test_each_layer_comes_from_where_the_map_says(pristine: Path, made: Make) -> None:
    stored = f"stored@{made('gptq')}"
    mixed = loaded(pristine, f"mix:layers.1.mlp=fp16;v_proj=rtn:8bit-g32;*=({stored})")
    family = {
        "gptq": loaded(made("gptq"), "stored"),
        "plain": loaded(pristine, "fp16"),
        "rounded": loaded(pristine, "rtn:8bit-g32"),
    }
    found = {
        f"{number}.{name}": [
            kind
            for kind, each in family.items()
            if torch.equal(layer(mixed, f"{number}.{name}"), layer(each, f"{number}.{name}"))
        ]
        for number in (0, 1)
        for name in ("self_attn.o_proj", "self_attn.v_proj", "mlp.down_proj")
    }
    assert found == {
        "0.self_attn.o_proj": ["gptq"],
        "0.self_attn.v_proj": ["rounded"],
        "0.mlp.down_proj": ["gptq"],
        "1.self_attn.o_proj": ["gptq"],
        "1.self_attn.v_proj": ["rounded"],
        "1.mlp.down_proj": ["plain"],
    }
    counted, _, told = mixed.variant.summary.partition("; ")
    assert all(each in counted for each in ("of 14 linear layers", "2 rtn:8bit-g32", f"9 {stored}", "3 fp16"))
    assert told == f"{stored}: {family['gptq'].variant.summary}"
    attention, mlp, value = 64 * (64 + 64 + 32), 3 * 64 * 128, 64 * 32
    assert mixed.audit.modules_replaced == 11
    of_gptq = 2 * attention + mlp
    mean = family["gptq"].audit.bits_per_weight  # of all layers: what stands beside the weights is more in small ones
    bits = (mean * of_gptq + 9 * 2 * value) / (of_gptq + 2 * value)
    assert mixed.audit.bits_per_weight == pytest.approx(bits, rel=0.05)
    assert mixed.variant.description.stored_bits == pytest.approx(bits)
    everything = 2 * attention + 2 * mlp + 2 * value
    named = (4 * of_gptq + 8 * 2 * value + 16 * mlp) / everything
    assert mixed.variant.description.bits == pytest.approx(named, abs=0.01)


def test_bits_are_not_told_where_a_checkpoint_does_not_tell_them(pristine: Path, made: Make) -> None:
    variant = prepared(pristine, f"mix:layers.0=fp16;*=(stored@{made('compressed-tensors-mixed')})")
    assert variant.description.bits is None


def test_each_part_has_the_kernels_that_it_has_alone(pristine: Path, made: Make) -> None:
    spec = f"mix:mlp=(stored@{made('gptq')});*=(stored@{made('bitsandbytes-4bit')})"
    native = loaded(pristine, spec, "native")
    assert native.variant.placement.kernels == "native"
    assert type(native.model.get_submodule(UP)) is nn.Linear  # only servers have kernels for it
    assert type(native.model.get_submodule("model.layers.0.self_attn.q_proj")) is Linear4bit
    with pytest.raises(SpecError, match="it is quantized while it is loaded, and vLLM runs weights as a checkpoint"):
        prepared(pristine, spec, "vllm")


@pytest.fixture
def other(folder: Path, edit_weights: Edit) -> Path:
    """The plain checkpoint, with other weights in its first feed-forward."""
    edit_weights(lambda weights: weights.update({f"{UP}.weight": weights[f"{UP}.weight"].flip(0).contiguous()}))
    return folder


def test_a_spec_is_made_of_the_model_that_it_names(pristine: Path, other: Path) -> None:
    mixed = loaded(pristine, f"mix:up_proj=(nf4@{other});*=nf4")
    alone, own = loaded(pristine, "nf4"), loaded(other, "nf4")
    assert torch.equal(layer(mixed, "0.mlp.up_proj"), layer(own, "0.mlp.up_proj"))
    assert not torch.equal(layer(mixed, "0.mlp.up_proj"), layer(alone, "0.mlp.up_proj"))
    assert torch.equal(layer(mixed, "0.mlp.down_proj"), layer(alone, "0.mlp.down_proj"))


def test_the_tokenizer_is_that_of_the_whole(pristine: Path, other: Path) -> None:
    (other / "chat_template.jinja").write_text("{{ 'another' }}")
    mixed = loaded(pristine, f"mix:up_proj=(nf4@{other})")
    assert mixed.tokenizer.chat_template == CHAT_TEMPLATE
    assert mixed.variant.identity.fields["chat_template"] == prepared(pristine, "nf4").identity.fields["chat_template"]


def test_a_part_is_known_by_what_its_model_holds_and_not_by_its_name(
    pristine: Path, made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps").mkdir()
    copy = Path(shutil.copytree(made("gptq"), tmp_path / "maps" / "made"))
    (tmp_path / "maps" / "map.json").write_text(json.dumps({"layers.0": "fp16", "*": "stored@made"}))
    inline = f"mix:layers.0=fp16;*=(stored@{made('gptq')})"
    before = prepared(pristine, inline).identity
    assert prepared(pristine, "mix:maps/map.json").identity == before
    assert before.fields["mix"] == "layers.0=fp16;*=(stored@1)"
    assert "version:bitsandbytes" not in before.fields
    other = prepared(pristine, f"mix:layers.0=fp16;*=(stored@{made('bitsandbytes-4bit')})").identity
    assert "version:bitsandbytes" in other.fields
    assert other.digest != before.digest
    variant = prepared(pristine, "mix:maps/map.json")
    tensors = load_file(copy / "model.safetensors")
    tensors[f"{UP}.scales"] *= 2
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    after = prepared(pristine, "mix:maps/map.json").identity
    assert {name for name in before.fields if before.fields[name] != after.fields[name]} == {"stored@1 weights"}
    with pytest.raises(ModelError, match=r"changed since the run began: stored@1 weights"):
        load_variant(variant)


def test_a_part_of_the_hub_is_known_by_its_commit(
    pristine: Path, made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / ("12ab" * 10)
    snapshot.symlink_to(made("gptq"))

    def give(_name: str, *, local_files_only: bool, **_: object) -> str:
        assert local_files_only  # nothing is downloaded to describe or to load
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", give)
    variant = prepared(pristine, "mix:*=(stored@org/name)")
    assert variant.identity.fields["stored@1 weights"] == f"org/name@{snapshot.name}"
    assert load_variant(variant).audit.modules_replaced == LAYERS


def test_models_of_parts_are_not_taken_for_one_another(pristine: Path, made: Make) -> None:
    four, eight = (f"(stored@{made(kind)})" for kind in ("gptq", "gptq-8bit"))
    one, two = (prepared(pristine, f"mix:mlp={a};*={b}").identity for a, b in ((four, eight), (eight, four)))
    assert one.fields["mix"] == two.fields["mix"] == "mlp=(stored@1);*=(stored@2)"
    assert one.digest != two.digest


def refused(pristine: Path, spec: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        prepared(pristine, spec)
    assert str(caught.value).startswith(f"variant '{spec}': ")
    return caught.value


def test_a_part_of_another_architecture_is_refused(pristine: Path, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"hidden_size": 40}
    network: Any = LlamaForCausalLM(LlamaConfig(**config))
    network.half().save_pretrained(folder)
    error = refused(pristine, f"mix:layers.0=(fp16@{folder})")
    what = "its model is another one than that of the mix: its hidden_size is 40, and not 64"
    assert error.what == f"fp16@{folder}: {what}"
    assert error.hint == "name one that was made from the same model as the whole mix"


def test_a_layer_of_another_shape_is_refused(pristine: Path, folder: Path, edit_weights: Edit) -> None:
    edit_weights(lambda weights: weights.update({f"{UP}.weight": weights[f"{UP}.weight"][:, :32].contiguous()}))
    spec = f"mix:up_proj=(fp16@{folder})"
    assert f"{UP} of its model is 128 x 32, and 128 x 64 in the model of the mix" in str(refused(pristine, spec))
    assert prepared(pristine, f"mix:down_proj=(fp16@{folder})")  # which takes no layer that differs


def test_a_layer_that_the_checkpoint_leaves_plain_is_refused(pristine: Path, made: Make) -> None:
    stored = f"stored@{made('gptq')}"
    error = refused(pristine, f"mix:lm_head=({stored});*=nf4")
    assert error.what == f"{stored}: it leaves lm_head as it is, and the map gives it to {stored}"
    assert error.hint == "give it another spec, or fp16, in a pattern of its own above"


def test_what_is_quantized_already_is_not_quantized_again(pristine: Path, made: Make) -> None:
    folder = made("gptq")
    error = refused(pristine, f"mix:*=(nf4@{folder})")
    assert error.what.startswith(f"nf4@{folder}: its model is already quantized with GPTQ, 4 bits in groups of 32")
    with pytest.raises(SpecError, match=re.escape(f"and this one in the map: *=(stored@{folder})")):
        prepared(folder, "mix:layers.0=fp16")


def test_the_folder_of_a_part_is_checked_as_any(pristine: Path, folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="this folder also holds an adapter"):
        prepared(pristine, f"mix:down_proj=(nf4@{folder})")


def test_a_model_in_the_middle_of_a_map_is_told(pristine: Path) -> None:
    error = refused(pristine, "mix:down_proj=nf4@other;*=int8")
    assert error.what == "the model of the whole stands behind the whole map, and not in the middle of it"
    assert "between parentheses, down_proj=(stored@MODEL)" in (error.hint or "")


@pytest.mark.parametrize("spec", ["mix:*=(stored@other", "mix:a=nf4;*=(stored@other", "mix:*=(stored@other;a=nf4"])
def test_a_parenthesis_that_is_not_closed_is_told_with_its_part(pristine: Path, spec: str) -> None:
    error = refused(pristine, spec)
    assert error.what == "a parenthesis is not closed: '(stored@other'"
    assert error.hint == "a part that has a model of its own stands between two: down_proj=(stored@MODEL)"


def norms_times(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(weights: dict[str, Any]) -> None:
        name = "model.layers.0.input_layernorm.weight"
        weights[name] = weights[name] * factor

    return change


def test_layers_that_were_scaled_together_with_norms_are_refused(
    pristine: Path, folder: Path, edit_weights: Edit
) -> None:
    edit_weights(norms_times(1.003))
    assert loaded(pristine, f"mix:down_proj=(nf4@{folder})").audit.modules_replaced == 2  # no more than rounding does
    edit_weights(norms_times(1.5))
    error = refused(pristine, f"mix:down_proj=(nf4@{folder})")  # when it is prepared: nothing is loaded
    assert error.what.startswith(f"nf4@{folder}: its norms are not those of the model of the mix, such as model.layers")
    assert "gate it as it is, without a mix" in (error.hint or "")


def test_norms_that_files_do_not_tell_are_compared_when_both_are_loaded(pristine: Path) -> None:
    whole, part = (loaded(pristine, "fp16").model for _ in range(2))
    check_loaded(part, whole, {})
    part.get_parameter("model.norm.weight").mul_(1.5)
    with pytest.raises(SpecError, match=r"its norms are not those of .*, such as model\.norm\.weight"):
        check_loaded(part, whole, {})


@pytest.mark.parametrize(
    ("shapes", "told"),
    [
        ({UP: (128, 65)}, f"{UP} of its model is 128 x 64, and 128 x 65 in the model of the mix"),
        ({"model.layers.9.mlp.up_proj": (128, 64)}, "its model has no layer model.layers.9.mlp.up_proj"),
    ],
)
def test_what_files_do_not_tell_is_checked_when_both_are_loaded(
    pristine: Path, shapes: dict[str, tuple[int, ...]], told: str
) -> None:
    model = loaded(pristine, "fp16").model
    check_loaded(model, model, {UP: (128, 64)})
    with pytest.raises(SpecError, match=re.escape(told)):
        check_loaded(model, model, shapes)


def test_parts_of_other_models_are_prepared_without_torch(pristine: Path, made: Make) -> None:
    program = (
        "import sys\n"
        "from pytest_quantgate.variants.source import resolve_model\n"
        "from pytest_quantgate.variants.variant import prepare_variant\n"
        "prepare_variant(sys.argv[2], resolve_model(sys.argv[1]), device='cpu')\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(pristine), f"mix:layers.0=fp16;*=(stored@{made('gptq')})"]
    assert subprocess.run(command, check=False).returncode == 0
