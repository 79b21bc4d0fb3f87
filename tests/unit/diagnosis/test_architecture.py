"""Where the parts of decoders are: found by structure, described by a plugin, or told as an error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MixtralConfig,
    MixtralForCausalLM,
)

from pytest_quantgate.diagnosis.architecture import (
    COMPONENTS,
    FUSED,
    ArchitectureRegistry,
    Layout,
    architecture_of,
    unregister,
)
from pytest_quantgate.errors import ModelError, UsageError
from tests.unit.diagnosis.families import FAMILIES, LAYERS, tiny

GPT2 = Layout(
    layers="transformer.h",
    attention="attn",
    feed_forward="mlp",
    linear={"qkv_proj": "attn.c_attn", "o_proj": "attn.c_proj", "up_proj": "mlp.c_fc", "down_proj": "mlp.c_proj"},
    final_norm="transformer.ln_f",
)


def without_weights(kind: Any, config: Any) -> Any:
    with torch.device("meta"):
        return kind(config)


def gpt2() -> Any:
    return without_weights(GPT2LMHeadModel, GPT2Config(n_embd=32, n_layer=3, n_head=4))


@pytest.fixture
def registry() -> Iterator[ArchitectureRegistry]:
    yield ArchitectureRegistry()
    unregister("GPT2LMHeadModel")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_of_a_family_are_found(family: str) -> None:
    model = tiny(family)
    found = architecture_of(model)
    assert [layer.name for layer in found.layers] == [f"model.layers.{number}" for number in range(LAYERS)]
    for layer in found.layers:
        decoder = model.get_submodule(layer.name)
        assert model.get_submodule(layer.attention) is decoder.self_attn
        assert model.get_submodule(layer.feed_forward) is decoder.mlp
        linear = {name for name, module in decoder.named_modules(prefix=layer.name) if isinstance(module, nn.Linear)}
        assert set(layer.linear.values()) == linear  # all of them, and nothing else
    assert model.get_submodule(found.head) is model.lm_head


@pytest.mark.parametrize("family", FAMILIES)
def test_components_have_the_same_names_in_all_families(family: str) -> None:
    found = architecture_of(tiny(family))
    names = list(found.layers[2].linear)
    expected = {"Phi": [*COMPONENTS[:4], *COMPONENTS[5:]], "Phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]}
    assert names == expected.get(family, list(COMPONENTS))
    assert found.gated == (family != "Phi")
    assert found.final_norm == ("model.final_layernorm" if family == "Phi" else "model.norm")


def test_what_is_fused_is_told_apart_from_its_components() -> None:
    assert [part for parts in FUSED.values() for part in parts] == [
        "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"
    ]  # fmt: skip
    assert architecture_of(tiny("Phi")).layers[1].linear["o_proj"] == "model.layers.1.self_attn.dense"


def test_the_layers_are_those_of_the_text_where_a_model_sees_as_well() -> None:
    text = tiny("Gemma3").config.to_dict()
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": LAYERS + 2, "num_attention_heads": 2}
    found = architecture_of(
        without_weights(Gemma3ForConditionalGeneration, Gemma3Config(text_config=text, vision_config=vision))
    )
    assert [layer.name for layer in found.layers] == [f"model.language_model.layers.{each}" for each in range(LAYERS)]
    assert found.final_norm == "model.language_model.norm"


def test_a_list_within_the_layers_is_not_taken_for_them_however_long_it_is() -> None:
    config = LlamaConfig(hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4)
    model = without_weights(LlamaForCausalLM, config)
    for layer in model.model.layers:
        layer.mlp.experts = nn.ModuleList(nn.Identity() for _ in range(8))
    assert [layer.name for layer in architecture_of(model).layers] == ["model.layers.0", "model.layers.1"]


def test_experts_are_refused_with_what_was_found_and_the_way_out() -> None:
    config = MixtralConfig(hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4)
    with pytest.raises(ModelError) as error:
        architecture_of(without_weights(MixtralForCausalLM, config))
    assert "MixtralForCausalLM: no feed-forward block of a known kind" in str(error.value)
    assert "mlp (gate, experts)" in str(error.value)
    assert "pytest_quantgate_register_architectures" in str(error.value)


def test_a_model_without_a_head_is_refused() -> None:
    model = without_weights(LlamaModel, LlamaConfig(hidden_size=32, intermediate_size=16, num_hidden_layers=2))
    with pytest.raises(ModelError, match="LlamaModel: the model has no output head"):
        architecture_of(model)


def test_a_plugin_describes_what_is_not_found(registry: ArchitectureRegistry) -> None:
    with pytest.raises(ModelError, match="no attention block"):
        architecture_of(gpt2())
    registry.register("GPT2LMHeadModel", GPT2)
    registry.register("GPT2LMHeadModel", replace(GPT2))  # again, as two plugins may bring the same one
    found = architecture_of(gpt2())
    assert [layer.name for layer in found.layers] == ["transformer.h.0", "transformer.h.1", "transformer.h.2"]
    assert found.layers[2].linear["down_proj"] == "transformer.h.2.mlp.c_proj"
    assert not found.gated


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"layers": "transformer.layers"}, "transformer.layers.0"),
        ({"final_norm": "transformer.norm"}, "transformer.norm"),
        ({"head": "head"}, "head"),
        ({"attention": "self_attn"}, "transformer.h.0.self_attn"),
        ({"linear": {**GPT2.linear, "o_proj": "attn.dense"}}, "transformer.h.0.attn.dense"),
    ],
)
def test_a_description_that_does_not_fit_is_told(
    registry: ArchitectureRegistry, changed: dict[str, Any], missing: str
) -> None:
    registry.register("GPT2LMHeadModel", replace(GPT2, **changed))
    with pytest.raises(ModelError, match=f"GPT2LMHeadModel: the model has no module '{missing}'"):
        architecture_of(gpt2())


def test_a_description_must_be_one(registry: ArchitectureRegistry) -> None:
    wrong: Any = {"layers": "transformer.h"}
    with pytest.raises(UsageError, match="something other than a Layout"):
        registry.register("GPT2LMHeadModel", wrong)
    with pytest.raises(UsageError, match=r"(?s)no component is called 'up_prj'.*did you mean 'up_proj'"):
        registry.register("GPT2LMHeadModel", replace(GPT2, linear={**GPT2.linear, "up_prj": "mlp.c_fc"}))
    with pytest.raises(UsageError, match="its components are not whole: qkv_proj, o_proj"):
        registry.register("GPT2LMHeadModel", replace(GPT2, linear=dict([*GPT2.linear.items()][:2])))


def test_two_plugins_cannot_describe_a_class_in_two_ways(registry: ArchitectureRegistry) -> None:
    registry.register("GPT2LMHeadModel", GPT2)
    with pytest.raises(UsageError, match="described by two plugins"):
        registry.register("GPT2LMHeadModel", replace(GPT2, head="wte"))


def test_describing_an_architecture_imports_no_torch() -> None:
    code = "import sys, pytest_quantgate.diagnosis.architecture; print(*({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
