from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear8bitLt
from safetensors.torch import load_file
from torch import nn
from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM
from transformers.models.auto import tokenization_auto

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import AuditError, ModelError, QuantgateError, SpecError
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.fidelity import Known, along
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate
from pytest_quantgate.variants import bitsandbytes_loading, identity, memory, variant
from pytest_quantgate.variants.audit import Audit, measure
from pytest_quantgate.variants.loading import load_pretrained, load_tokenizer
from pytest_quantgate.variants.plain import PlainBackend
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant, run_another_way

EditWeights = Callable[[Callable[[dict[str, Any]], None]], None]
LINEAR_LAYERS = 14
TOKENS = torch.tensor([[2, 4, 10, 11, 12, 13, 3, 4]])


def prepared(folder: Path, spec: str, dtype: str = "auto") -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu", compute_dtype=dtype)


def loaded(folder: Path, spec: str, dtype: str = "auto") -> LoadedModel:
    return load_variant(prepared(folder, spec, dtype))


def logits(model: LoadedModel | nn.Module) -> torch.Tensor:
    network: Any = model.model if isinstance(model, LoadedModel) else model
    with torch.inference_mode():
        found: torch.Tensor = network(TOKENS).logits
    return found


def layers(model: LoadedModel, kind: type[nn.Module]) -> int:
    return sum(type(module) is kind for module in model.model.modules())


@pytest.mark.parametrize(
    ("spec", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)]
)
def test_a_plain_variant_is_the_checkpoint_rounded_and_computed_in_float32(
    edit_weights: EditWeights, folder: Path, spec: str, dtype: torch.dtype
) -> None:
    def widen(weights: dict[str, Any]) -> None:
        for name, weight in weights.items():
            weights[name] = weight.float() * (1 + 1e-5)

    edit_weights(widen)
    model = loaded(folder, spec).model
    for name, weight in load_file(folder / "model.safetensors").items():
        found = model.get_parameter(name)
        assert found.dtype == torch.float32
        assert torch.equal(found, weight.to(dtype).float())


def test_rounding_leaves_rotary_angles_alone(pristine: Path) -> None:
    buffers = [dict(loaded(pristine, spec).model.named_buffers()) for spec in ("fp32", "fp16", "nf4")]
    for name, exact in buffers[0].items():
        assert all(torch.equal(exact, other[name]) for other in buffers[1:])


def test_a_half_precision_checkpoint_is_the_same_at_fp32_and_fp16(pristine: Path) -> None:
    assert torch.equal(logits(loaded(pristine, "fp32")), logits(loaded(pristine, "fp16")))


@pytest.mark.parametrize("spec", ["fp16", "nf4", "int8"])
def test_a_loaded_model_is_ready_to_answer(pristine: Path, spec: str) -> None:
    model = loaded(pristine, spec)
    assert not model.model.training
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert model.tokenizer.padding_side == "left"
    assert model.model.generation_config.eos_token_id == 1
    assert logits(model).dtype == torch.float32


@pytest.mark.parametrize(
    ("spec", "bits"), [("nf4", 4.5), ("fp4", 4.5), ("nf4:double", 4.13), ("int8", 8.5), ("fp16", 16), ("fp32", 32)]
)
def test_the_audit_counts_what_was_quantized(pristine: Path, spec: str, bits: float) -> None:
    audit = loaded(pristine, spec).audit
    quantized = not spec.startswith("fp") or spec == "fp4"
    assert audit.modules_total == LINEAR_LAYERS + 1
    assert audit.modules_replaced == (LINEAR_LAYERS if quantized else 0)
    assert audit.bits_per_weight == pytest.approx(bits, rel=0.04)
    assert (audit.memory_bytes < audit.reference_bytes) == quantized


def test_skipped_modules_and_the_output_head_stay_as_they_are(pristine: Path) -> None:
    model = loaded(pristine, "nf4:skip=model.layers.0")
    assert model.audit.modules_replaced == LINEAR_LAYERS // 2
    skipped = loaded(pristine, "int8:skip=down_proj")
    assert skipped.audit.modules_replaced == LINEAR_LAYERS - 2
    exact = loaded(pristine, "fp16").model
    assert torch.equal(model.model.lm_head.weight, exact.lm_head.weight)
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(model.model.get_parameter(name), exact.get_parameter(name))
    assert not torch.equal(
        model.model.get_parameter(name.replace("0", "1")), exact.get_parameter(name.replace("0", "1"))
    )


def test_skipping_a_block_by_its_last_name_leaves_all_below_it_alone(pristine: Path) -> None:
    assert loaded(pristine, "nf4:skip=self_attn").audit.modules_replaced == LINEAR_LAYERS - 2 * 4


def test_skipping_a_module_that_is_not_there_is_found_before_loading(pristine: Path) -> None:
    with pytest.raises(SpecError, match=r"no module 'model\.layer\.0'\n.*did you mean 'model\.layers"):
        prepared(pristine, "nf4:skip=model.layer.0")
    assert prepared(pristine, "nf4:skip=lm_head")  # tied, so not in the files


def test_skipping_a_module_is_checked_when_loading_where_the_files_do_not_tell(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant, "modules_of", lambda _: frozenset())
    with pytest.raises(SpecError, match=r"no module 'down'\n.*did you mean 'down_proj'"):
        loaded(pristine, "nf4:skip=down")


def test_a_candidate_whose_every_layer_is_skipped_is_refused(pristine: Path) -> None:
    with pytest.raises(AuditError, match="nothing was quantized: 0 of 15 linear modules"):
        loaded(pristine, "nf4:skip=model")


def test_a_candidate_that_the_quantizer_left_plain_is_refused(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(*arguments: Any, quantization: object, **options: Any) -> Any:
        assert quantization
        return load_pretrained(*arguments, **options)

    monkeypatch.setattr(bitsandbytes_loading, "load_pretrained", plain)
    with pytest.raises(AuditError, match="nothing was quantized"):
        loaded(pristine, "int8")


def test_int8_runs_in_its_own_kernels_without_a_word(
    pristine: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    model = loaded(pristine, "int8")
    assert model.variant.placement.kernels == "native"
    assert layers(model, Linear8bitLt) == LINEAR_LAYERS
    assert torch.allclose(logits(model), logits(loaded(pristine, "fp16")), atol=0.05)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("spec", ["fp16", "nf4", "int8"])
def test_not_a_number_weights_load_and_show_in_the_logits(folder: Path, edit_weights: EditWeights, spec: str) -> None:
    def ruin(weights: dict[str, Any]) -> None:
        weights["model.layers.1.mlp.down_proj.weight"][:] = float("nan")

    edit_weights(ruin)
    assert logits(loaded(folder, spec)).isnan().all()


def test_missing_weights_are_an_error_and_not_made_up(folder: Path, edit_weights: EditWeights) -> None:
    def drop(weights: dict[str, Any]) -> None:
        for name in [name for name in weights if "layers.1.mlp" in name or name == "model.norm.weight"]:
            del weights[name]

    edit_weights(drop)
    with pytest.raises(ModelError, match=r"weights are missing from the files: model\.layers\.1\.mlp.* and 1 more"):
        loaded(folder, "fp16")


@pytest.mark.parametrize("spec", ["fp16", "nf4"])
def test_weights_that_the_model_does_not_use_are_an_error(folder: Path, edit_weights: EditWeights, spec: str) -> None:
    def add(weights: dict[str, Any]) -> None:
        weights["model.layers.2.mlp.up_proj.weight"] = weights["model.norm.weight"].clone()

    edit_weights(add)
    with pytest.raises(ModelError, match=r"weights that the model does not use: model\.layers\.2\.mlp\.up_proj"):
        loaded(folder, spec)


@pytest.mark.parametrize("spec", ["fp16", "nf4"])
def test_what_transformers_leaves_out_by_design_is_no_fault(folder: Path, edit_weights: EditWeights, spec: str) -> None:
    def add(weights: dict[str, Any]) -> None:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()  # tied
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)  # as old checkpoints have it

    edit_weights(add)
    assert loaded(folder, spec)


@pytest.mark.parametrize("spec", ["fp16", "nf4"])
def test_weights_of_another_shape_are_an_error(folder: Path, edit_weights: EditWeights, spec: str) -> None:
    def cut(weights: dict[str, Any]) -> None:
        weights["model.norm.weight"] = weights["model.norm.weight"][:32].clone()

    edit_weights(cut)
    with pytest.raises(ModelError, match="does not load"):
        loaded(folder, spec)


def test_an_unknown_architecture_is_an_error(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "of-tomorrow"}))
    with pytest.raises(ModelError, match=r"does not load.*of-tomorrow"):
        loaded(folder, "fp16")


def test_a_model_that_needs_code_of_its_own_is_refused(folder: Path) -> None:
    own = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(own))
    with pytest.raises(ModelError, match=r"remote code is never run\n.*part of transformers"):
        loaded(folder, "fp16")


def test_a_tokenizer_that_needs_code_of_its_own_is_refused(folder: Path) -> None:
    own = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    with pytest.raises(ModelError, match="remote code is never run"):
        loaded(folder, "fp16")


def test_a_model_that_transformers_knows_loads_without_the_code_beside_it(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit")
    assert loaded(folder, "fp16").model.config.model_type == "llama"


@pytest.fixture
def with_experts(folder: Path) -> Path:
    """The tiny checkpoint, its model replaced by a mixture of experts."""
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=128,
    )
    network: Any = MixtralForCausalLM(config)
    network.half().save_pretrained(folder)
    return folder


def test_a_candidate_whose_experts_the_quantizer_does_not_know_is_refused(with_experts: Path) -> None:
    with pytest.raises(AuditError, match=r"most weights were left.* of .*linear modules replaced") as caught:
        loaded(with_experts, "nf4")
    assert "model.layers.0.mlp.experts" in str(caught.value)


def test_experts_that_are_skipped_on_purpose_are_no_fault(with_experts: Path) -> None:
    assert loaded(with_experts, "nf4:skip=mlp.experts").audit.modules_replaced == 4


def test_a_broken_tokenizer_is_an_error(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="the tokenizer does not load"):
        loaded(folder, "fp16")


def test_a_mistral_tokenizer_is_read_with_its_chat_template_where_mistral_common_is_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tekken.json").write_text("{}")
    monkeypatch.setitem(tokenization_auto.TOKENIZER_MAPPING_NAMES, "mistral", "MistralCommonBackend")
    monkeypatch.setattr("transformers.integrations.mistral.tokenizer.is_mistral_common_available", lambda: True)
    assert loaded(folder, "fp16").tokenizer.chat_template == (folder / "chat_template.jinja").read_text()


def test_a_tokenizer_that_leaves_out_the_chat_template_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer: Any = load_tokenizer(folder)
    tokenizer.chat_template = None
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer)
    with pytest.raises(ModelError, match=r"leaves out its chat template\n  set tokenizer_class to TokenizersBackend"):
        loaded(folder, "fp16")
    (folder / "chat_template.jinja").unlink()
    assert loaded(folder, "fp16").tokenizer is tokenizer


def test_memory_is_checked_before_anything_is_loaded(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = replace(prepared(pristine, "fp16"), needed_bytes=1 << 30)
    monkeypatch.setattr(memory, "available_bytes", lambda _: 1 << 20)
    monkeypatch.setattr(variant, "backend_of", None)
    with pytest.raises(ModelError, match=r"needs about 1\.0 GiB on cpu, and 0\.0 GiB are available"):
        load_variant(waiting)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("place", ["measure", "check_unchanged", "finish"])
def test_memory_that_runs_out_anywhere_while_it_is_loaded_is_told(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    waiting = prepared(pristine, "fp16")
    monkeypatch.setattr(PlainBackend if place == "finish" else variant, place, fail)
    with pytest.raises(ModelError) as caught:
        load_variant(waiting)
    assert str(caught.value) == (
        "variant 'fp16': memory of cpu ran out while it was loaded\n"
        "  free some memory there, use a smaller model, or another --quant-device"
    )


def test_kernels_that_fail_are_not_taken_for_missing_memory(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    monkeypatch.setattr(PlainBackend, "finish", fail)
    with pytest.raises(ModelError) as caught:
        loaded(pristine, "fp16")
    assert str(caught.value) == (
        "variant 'fp16': the weights cannot be brought to float32: CUDA error: no kernel image is available for "
        "execution on the device\n  try another --quant-compute-dtype, --quant-kernels or --quant-device"
    )


def rewrite(path: Path) -> None:
    """Another file of that name, as an export leaves it: what was opened before stays as it was."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    fresh = path.with_suffix(".new")
    fresh.write_bytes(bytes(content))
    fresh.replace(path)


def test_a_template_that_writes_the_date_is_loaded_and_asked_on_its_day_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}")
    ready = loaded(folder, "fp16")
    asked = [Request((Message("user", "w3 w4"),), 2)]
    kept: dict[str, Completion] = {}
    generate(ready, asked, kept.update, SilentProgress())
    assert list(kept) == [asked[0].digest]
    kept.clear()
    monkeypatch.setattr(identity, "_today", lambda: "2030-01-02")
    told = r"variant 'fp16': .* the day changed since the run began\n  run again"
    with pytest.raises(ModelError, match=told):
        load_variant(ready.variant)
    with pytest.raises(ModelError, match=told):
        generate(ready, asked, kept.update, SilentProgress())
    answers = [Known(asked[0], (5, 6))]
    with pytest.raises(ModelError, match=told):
        list(along(ready, answers, lambda _: {}, SilentProgress()))
    assert kept == {}
    assert load_variant(prepared(folder, "fp16")).variant.identity.fields["date"] == "2030-01-02"


def test_weights_that_change_before_they_are_loaded_are_an_error(folder: Path) -> None:
    waiting = prepared(folder, "fp16")
    rewrite(folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"variant 'fp16': files .* changed since the run began: weights\n.*run again"):
        load_variant(waiting)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("config.json", "config"),
        ("generation_config.json", "generation config"),
        ("tokenizer.json", "tokenizer"),
        ("chat_template.jinja", "chat template"),
    ],
)
def test_another_file_that_changes_before_it_is_loaded_is_named(folder: Path, name: str, told: str) -> None:
    waiting = prepared(folder, "fp16")
    (folder / name).write_text((folder / name).read_text() + " ")
    with pytest.raises(ModelError, match=f"changed since the run began: {told}\n"):
        load_variant(waiting)


def test_weights_that_change_while_they_are_loaded_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = prepared(folder, "fp16")

    def late(*arguments: Any) -> Audit:
        rewrite(folder / "model.safetensors")
        return measure(*arguments)

    monkeypatch.setattr(variant, "measure", late)
    with pytest.raises(ModelError, match="changed since the run began: weights"):
        load_variant(waiting)


def test_a_variant_that_is_run_another_way_is_loaded_as_well(pristine: Path) -> None:
    assert load_variant(run_another_way(prepared(pristine, "fp16"), kernels=False))


def test_a_missing_library_has_its_install_line(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant, "find_spec", lambda _: None)
    with pytest.raises(SpecError, match=r"bitsandbytes is not installed\n.*pip install bitsandbytes"):
        prepared(pristine, "nf4")
    assert prepared(pristine, "fp16")


def test_a_truncated_checkpoint_is_found_before_loading(folder: Path) -> None:
    source = resolve_model(str(folder))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(QuantgateError, match="truncated"):
        prepare_variant("fp16", source, device="cpu")
