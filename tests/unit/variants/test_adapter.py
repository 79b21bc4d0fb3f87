"""Adapters: what peft saved is what answers, and anything else is refused with a reason."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from pytest_quantgate.errors import AuditError, ModelError, SpecError
from pytest_quantgate.variants import variant
from pytest_quantgate.variants.adapter import CONFIG, WEIGHTS, read_adapter
from pytest_quantgate.variants.loading import quiet
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant
from tests.compressed_checkpoints import compressed_tensors

TOKENS = torch.tensor([[2, 4, 10, 11, 12, 13, 3, 4]])
RANK = 4
EditConfig = Callable[..., None]


def plain(folder: Path) -> Any:
    return load_variant(prepare_variant("fp16", resolve_model(str(folder)), device="cpu")).model


def saved(folder: Path, into: Path, seed: int = 0, **options: Any) -> Path:
    """An adapter as peft makes and saves it, with weights that change the answers."""
    targets = options.pop("target_modules", ["q_proj", "down_proj"])
    torch.manual_seed(seed)
    with quiet():
        options = {"task_type": "CAUSAL_LM", **options}
        adapted = get_peft_model(plain(folder), LoraConfig(r=RANK, lora_alpha=10, target_modules=targets, **options))
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
        adapted.save_pretrained(str(into))
    return into


@pytest.fixture(scope="module")
def made(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(pristine, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def adapter(made: Path, tmp_path: Path) -> Path:
    """An adapter that the test may break."""
    return Path(shutil.copytree(made, tmp_path / "adapter"))


@pytest.fixture
def edit(adapter: Path) -> EditConfig:
    """Sets keys of the adapter's configuration."""

    def change(**keys: Any) -> None:
        config = json.loads((adapter / CONFIG).read_text()) | keys
        (adapter / CONFIG).write_text(json.dumps(config))

    return change


def edit_weights(adapter: Path, change: Callable[[dict[str, Any]], None]) -> None:
    weights = load_file(adapter / WEIGHTS)
    change(weights)
    save_file(weights, adapter / WEIGHTS)


def prepared(folder: Path, spec: str, adapter: Path, kernels: str = "auto") -> Variant:
    return prepare_variant(f"{spec}+lora:{adapter}", resolve_model(str(folder)), device="cpu", kernels=kernels)


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = (model.model if isinstance(model, LoadedModel) else model)(TOKENS).logits
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"use_rslora": True}, {"target_modules": "all-linear"}, {"target_modules": r".*\.1\..*_proj"}],
    ids=["plain", "rank-stabilised", "all layers", "a pattern"],
)
def test_an_adapted_model_computes_what_peft_computes(pristine: Path, tmp_path: Path, options: Any) -> None:
    folder = saved(pristine, tmp_path / "adapter", **options)
    with quiet():
        expected = logits(PeftModel.from_pretrained(plain(pristine), str(folder)).eval())
    model = load_variant(prepared(pristine, "fp16", folder))
    assert torch.allclose(logits(model), expected, atol=2e-5)
    assert not torch.allclose(logits(model), logits(plain(pristine)), atol=0.01)
    names = {type(module).__module__.partition(".")[0] for module in model.model.modules()}
    assert "peft" not in names  # merged
    assert not any(parameter.requires_grad for parameter in model.model.parameters())


def test_on_a_quantizers_own_layers_it_is_not_merged(pristine: Path, made: Path) -> None:
    dense = load_variant(prepared(pristine, "nf4", made))
    native = load_variant(prepared(pristine, "nf4", made, "native"))
    name = "model.layers.0.self_attn.q_proj"
    assert type(dense.model.get_submodule(name)) is torch.nn.Linear
    assert isinstance(native.model.get_submodule(f"{name}.base_layer"), Linear4bit)
    assert torch.allclose(logits(dense), logits(native), atol=0.03, rtol=0.02)
    assert not torch.allclose(logits(dense), logits(load_variant(prepared(pristine, "fp16", made))), atol=0.02)
    assert dense.audit == native.audit
    assert dense.audit.modules_replaced == 14


def test_on_layers_that_round_their_inputs_it_is_not_merged(pristine: Path, made: Path, tmp_path: Path) -> None:
    compressed_tensors({"Linear": "W8A8"})(pristine, tmp_path)
    found = load_variant(prepared(tmp_path, "stored", made)).model
    layer = found.get_submodule("model.layers.0.self_attn.q_proj.base_layer")
    assert type(layer) is torch.nn.Linear  # and rounds by a forward pass of its own


@pytest.mark.parametrize("spec", ["int8", "mix:down_proj=nf4", "fp16+kv:int4"])
def test_an_adapter_goes_on_any_variant(pristine: Path, made: Path, spec: str) -> None:
    model = load_variant(prepared(pristine, spec, made))
    assert logits(model).isfinite().all()
    base = prepare_variant(spec, resolve_model(str(pristine)), device="cpu")
    assert not torch.allclose(logits(model), logits(load_variant(base)), atol=0.02)


@pytest.mark.parametrize("kernels", ["dense", "native"])
@pytest.mark.parametrize(
    "zeroed", [("lora_A", "lora_B"), ("lora_A",), ("lora_B",)], ids=["all", "what comes in", "what goes out"]
)
def test_an_adapter_that_changes_no_weight_is_refused(
    pristine: Path, adapter: Path, zeroed: tuple[str, ...], kernels: str
) -> None:
    def clear(weights: dict[str, Any]) -> None:
        for name, weight in weights.items():
            if any(side in name for side in zeroed):
                weight.zero_()

    edit_weights(adapter, clear)
    with pytest.raises(AuditError, match=r"variant 'nf4\+lora:.* changes no weight"):
        load_variant(prepared(pristine, "nf4", adapter, kernels))


def test_an_adapter_whose_scale_is_zero_is_refused(pristine: Path, adapter: Path, edit: EditConfig) -> None:
    edit(lora_alpha=0)
    with pytest.raises(AuditError, match="changes no weight"):
        load_variant(prepared(pristine, "fp16", adapter))


def test_an_adapter_that_changes_one_layer_is_one(pristine: Path, adapter: Path) -> None:
    def clear(weights: dict[str, Any]) -> None:
        for name in [name for name in weights if "layers.1.mlp" not in name]:
            weights[name].zero_()

    edit_weights(adapter, clear)
    assert not torch.equal(logits(load_variant(prepared(pristine, "fp16", adapter))), logits(plain(pristine)))


def test_people_are_told_of_the_adapter_and_memory_counts_it(pristine: Path, made: Path) -> None:
    variant = prepared(pristine, "fp16", made)
    assert variant.summary.startswith(
        "weights rounded to float16, nothing quantized; LoRA adapter of rank 4 on 4 layers, made for "
    )
    plain_one = prepare_variant("fp16", resolve_model(str(pristine)), device="cpu")
    assert variant.needed_bytes - plain_one.needed_bytes == 4 * 2 * (RANK * (64 + 64) + RANK * (128 + 64))
    assert variant.description.max_bits is None


def test_the_identity_changes_with_the_adapters_bytes_and_not_with_its_place(
    pristine: Path, made: Path, adapter: Path, edit: EditConfig
) -> None:
    first = prepared(pristine, "fp16", made).identity
    assert prepared(pristine, "fp16", adapter).identity == first
    assert "version:peft" in first.fields
    edit(lora_alpha=11)
    second = prepared(pristine, "fp16", adapter).identity
    edit(lora_alpha=10)
    edit_weights(adapter, lambda weights: next(iter(weights.values())).add_(1e-3))
    third = prepared(pristine, "fp16", adapter).identity
    assert len({first.digest, second.digest, third.digest}) == 3


def test_an_adapter_that_changes_before_it_is_loaded_is_an_error(
    pristine: Path, adapter: Path, edit: EditConfig
) -> None:
    waiting = prepared(pristine, "fp16", adapter)
    edit(lora_alpha=11)
    with pytest.raises(ModelError, match="changed since the run began"):
        load_variant(waiting)


def test_memory_that_runs_out_while_it_is_put_on_is_told_as_that(
    pristine: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("pytest_quantgate.variants.adapter_loading.load_file", read)
    with pytest.raises(ModelError, match="memory of cpu ran out while it was loaded"):
        load_variant(prepared(pristine, "fp16", made))


def test_without_peft_the_error_says_what_to_install(
    pristine: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    with pytest.raises(SpecError, match=r"peft is not installed\n.*pip install peft"):
        prepared(pristine, "fp16", made)


def test_an_adapter_for_another_model_is_found_before_loading(pristine: Path, adapter: Path) -> None:
    def widen(weights: dict[str, Any]) -> None:
        for name in [name for name in weights if "q_proj.lora_A" in name]:
            weights[name] = torch.zeros(RANK, 96)
        for name in [name for name in weights if "layers.1.mlp" in name]:
            weights[name.replace("layers.1", "layers.7")] = weights.pop(name)

    edit_weights(adapter, widen)
    with pytest.raises(ModelError) as caught:
        prepared(pristine, "fp16", adapter)
    assert "model.layers.0.self_attn.q_proj is 64 x 64 and the adapter is for 64 x 96" in str(caught.value)
    assert "the model has no linear layer model.layers.7.mlp.down_proj" in str(caught.value)
    assert "use it with the model it was made for" in str(caught.value.hint)


def test_where_the_files_do_not_tell_the_model_does(
    pristine: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrow(weights: dict[str, Any]) -> None:
        name = next(name for name in weights if "lora_B" in name)
        weights[name] = weights[name][:-1].contiguous()

    edit_weights(adapter, narrow)
    monkeypatch.setattr("pytest_quantgate.variants.additions.modules_of", lambda _: frozenset())
    waiting = prepared(pristine, "fp16", adapter)
    with pytest.raises(ModelError, match="is 64 x 128 and the adapter is for 63 x 128"):
        load_variant(waiting)


def test_the_tied_output_head_can_have_one(pristine: Path, tmp_path: Path) -> None:
    folder = saved(pristine, tmp_path / "adapter", target_modules=["lm_head"])

    def lora_alone(weights: dict[str, Any]) -> None:  # peft saves the head beside it
        for name in [name for name in weights if "lora_" not in name]:
            del weights[name]

    edit_weights(folder, lora_alone)
    model = load_variant(prepared(pristine, "fp16", folder))
    network: Any = model.model
    # the embedding that the head was tied to stays as it was
    assert torch.equal(network.model.embed_tokens.weight, plain(pristine).model.embed_tokens.weight)
    assert not torch.allclose(logits(model), logits(plain(pristine)), atol=0.01)


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3', and only LoRA"),
        ({"peft_type": None}, "peft_type is None"),
        ({"use_dora": True}, "'use_dora' is True, and only plain LoRA"),
        ({"bias": "all"}, "'bias' is 'all'"),
        ({"modules_to_save": ["lm_head"]}, "'modules_to_save' is"),
        ({"alpha_pattern": {"(a+)+$": 3}}, "'alpha_pattern' is"),
        ({"init_lora_weights": "pissa"}, "'init_lora_weights' is 'pissa'"),
        ({"of\u202etomorrow": 1}, r"'of\\u202etomorrow' is 1"),
        ({"task_type": "SEQ_CLS"}, "'task_type' is 'SEQ_CLS'"),
        ({"r": 0}, "r is 0, not a whole number"),
        ({"r": True}, "r is True, not a whole number"),
        ({"r": 8}, "has ranks 4 and 4, and adapter_config.json says 8"),
        ({"lora_alpha": "16"}, "lora_alpha is '16', not a number"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, not a number"),
        ({"lora_alpha": 10**400}, "lora_alpha is 1000"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(
    adapter: Path, edit: EditConfig, keys: dict[str, Any], part: str
) -> None:
    edit(**keys)
    with pytest.raises(ModelError, match=part):
        read_adapter(str(adapter))


def test_an_adapter_that_was_made_without_a_task_is_the_same(
    pristine: Path, adapter: Path, edit: EditConfig, tmp_path: Path
) -> None:
    expected = logits(load_variant(prepared(pristine, "fp16", adapter)))
    without = saved(pristine, tmp_path / "without", task_type=None)
    assert json.loads((without / CONFIG).read_text())["auto_mapping"]["base_model_class"] == "LlamaForCausalLM"
    assert torch.equal(logits(load_variant(prepared(pristine, "fp16", without))), expected)
    edit(auto_mapping={"parent_library": "antigravity", "base_model_class": "fly"})
    assert torch.equal(logits(load_variant(prepared(pristine, "fp16", adapter))), expected)
    assert "antigravity" not in sys.modules


def test_patterns_in_the_configuration_are_not_run(pristine: Path, adapter: Path, edit: EditConfig) -> None:
    expected = logits(load_variant(prepared(pristine, "fp16", adapter)))
    edit(target_modules="(([a-z.0-9_]+)+)+!", layers_pattern="(a+)+$", layers_to_transform=[0])
    assert torch.equal(logits(load_variant(prepared(pristine, "fp16", adapter))), expected)


def rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(weights: dict[str, Any]) -> None:
        name = next(name for name in weights if old in name)
        weights[name.replace(old, new)] = weights.pop(name)

    return change


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (rename("lora_A.weight", "lora_magnitude_vector"), "is no part of plain LoRA"),
        (rename(".lora_A", "\x07.lora_A"), r"\\x07"),
        (rename("lora_A.weight", "lora_A.bias"), "is no part of plain LoRA"),
        (lambda weights: weights.pop(next(iter(weights))), "has only one of lora_A and lora_B"),
        (lambda weights: weights.update({name: each[0].clone() for name, each in weights.items()}), "is not a matrix"),
        (lambda weights: weights.update({name: each.to(torch.int8) for name, each in weights.items()}), "of numbers"),
    ],
)
def test_weights_that_are_not_plain_lora_are_refused(adapter: Path, change: Any, part: str) -> None:
    edit_weights(adapter, change)
    with pytest.raises(ModelError, match=part):
        read_adapter(str(adapter))


def test_pickled_weights_are_refused_and_not_read(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is missing"):
        read_adapter(str(adapter))
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ModelError, match=r"only pickled weights \(adapter_model\.bin\)"):
        read_adapter(str(adapter))


def test_what_is_no_adapter_is_told(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\+lora:org/name: no such adapter: not a folder on this machine\n.*the hub"):
        read_adapter("org/name")
    with pytest.raises(ModelError, match=r"adapter_config\.json is missing"):
        read_adapter(str(tmp_path))
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-5])
    with pytest.raises(ModelError, match="truncated"):
        read_adapter(str(adapter))
    (adapter / CONFIG).write_text("[]")
    with pytest.raises(ModelError, match="not a JSON object"):
        read_adapter(str(adapter))


def test_weights_that_are_not_finite_show_in_the_logits(pristine: Path, adapter: Path) -> None:
    edit_weights(adapter, lambda weights: next(iter(weights.values())).fill_(float("nan")))
    assert logits(load_variant(prepared(pristine, "fp16", adapter))).isnan().any()
