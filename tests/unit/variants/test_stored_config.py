"""What a stranger's quantization config says is checked before any library sees it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.stored_config import storage_of
from pytest_quantgate.variants.stored_layout import layers_of

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
BNB = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
WEIGHTS = {"num_bits": 4, "group_size": 128, "type": "int"}
CT = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": WEIGHTS, "targets": ["Linear"]}}}
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
UNKNOWN = " (calibration not stated)"

TORCHAO = {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8DynamicActivationInt4WeightConfig"}}}


def read(value: object, quanto_map: Any = None) -> Any:
    return storage_of({"quantization_config": value}, quanto_map, "m/config.json")


def activations(**told: object) -> dict[str, Any]:
    """A scheme of compressed-tensors that quantizes activations."""
    return {**CT, "config_groups": {"a": {"weights": WEIGHTS, "input_activations": {"num_bits": 8, **told}}}}


@pytest.mark.parametrize(
    ("value", "summary"),
    [
        (GPTQ, f"GPTQ, 4 bits in groups of 128{UNKNOWN}"),
        ({**GPTQ, "desc_act": True, "group_size": -1}, f"GPTQ, act-order, 4 bits{UNKNOWN}"),
        ({**GPTQ, "dataset": "/home/somebody/c.txt"}, "GPTQ, 4 bits in groups of 128 (calibrated with c.txt)"),
        ({**GPTQ, "dataset": ["x", "y"]}, "GPTQ, 4 bits in groups of 128 (calibrated with 2 texts of its maker's)"),
        (
            {**GPTQ, "meta": {"quantizer": ["x:1"], "dataset": "its manual"}},
            "GPTQ, 4 bits in groups of 128 (made by x:1; calibrated with its manual)",
        ),
        ({**GPTQ, "dataset": "c4\x1b[2J\n"}, r"GPTQ, 4 bits in groups of 128 (calibrated with c4\x1b[2J\n)"),
        ({**GPTQ, "dataset": "x" * 10_000}, f"GPTQ, 4 bits in groups of 128{UNKNOWN}"),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, f"AWQ, 4 bits in groups of 64{UNKNOWN}"),
        (BNB, "bitsandbytes nf4, 4 bits in groups of 64"),
        (
            {**BNB, "bnb_4bit_use_double_quant": True},
            "bitsandbytes nf4, scales quantized again, 4 bits in groups of 64",
        ),
        ({"load_in_8bit": True}, "bitsandbytes LLM.int8(), 8 bits, activations too"),
        (CT, "compressed-tensors dense, 4 bits in groups of 128"),
        (activations(dynamic=True), "compressed-tensors dense, 4 bits in groups of 128, activations too"),
        *(
            (told, f"compressed-tensors dense, 4 bits in groups of 128, activations too{UNKNOWN}")
            for told in (activations(), activations(dynamic=False), activations(dynamic="local"))
        ),
        (FP8, "FP8, blocks of 128x128, 8 bits"),
        ({**FP8, "activation_scheme": "dynamic"}, "FP8, blocks of 128x128, activation scales dynamic, 8 bits"),
        (
            {"quant_method": "fp8", "activation_scheme": "static"},
            f"FP8, activation scales static, 8 bits{UNKNOWN}",
        ),
        ({"quant_method": "mxfp4"}, "MXFP4, 4 bits in groups of 32"),
        (TORCHAO, "torchao Int8DynamicActivationInt4Weight, 4 bits, activations too"),
        (
            {
                **CT,
                "config_groups": {
                    "a": {"weights": WEIGHTS},
                    "b": {"weights": {"num_bits": 8}, "input_activations": {"num_bits": 8, "dynamic": True}},
                },
            },
            "compressed-tensors dense, mixed bits (4, 8), activations too",
        ),
        (
            {**TORCHAO, "quant_type": {"default": {"_type": "ModuleFqnToConfig"}}},
            "torchao ModuleFqnTo, mixed bits",
        ),
    ],
)
def test_quantizer_bits_group_and_calibration_are_told(value: object, summary: str) -> None:
    assert read(value).summary == summary


def test_the_bits_of_a_mixture_of_quanto_are_told() -> None:
    known = {name: {"weights": kind} for name, kind in (("a", "qint8"), ("b", "qint2"), ("c", "qint8"))}
    assert read(None, known).summary == "quanto qint2, qint8, mixed bits (2, 8)"


def test_plain_weights_have_no_storage() -> None:
    assert storage_of({}, None, "config.json") is None
    assert read(None) is None


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "is not an object"),
        ({}, "a method that it does not name"),
        ({"quant_method": "hqq"}, "quantized with hqq"),
        ({"quant_method": ["gptq"]}, "quant_method is not a short text"),
        ({"quant_method": "x" * 10_000}, "quant_method is not a short text"),
        ({**GPTQ, "bits": "4"}, "bits is '4', and not one of 2, 3, 4, 8"),
        ({**GPTQ, "bits": True}, "bits is True"),
        ({**GPTQ, "bits": 10**400}, "bits is 1000"),
        ({**GPTQ, "group_size": 0}, "group_size is 0, and not -1 or a number from 1"),
        ({**GPTQ, "group_size": 2**40}, "group_size"),
        ({**GPTQ, "desc_act": "yes"}, "desc_act is neither true nor false"),
        ({**GPTQ, "checkpoint_format": "marlin"}, "laid out as marlin, and only gptq and gptq_v2"),
        ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "laid out as gemv, and only gemm"),
        ({**BNB, "bnb_4bit_quant_type": "int4"}, "bnb_4bit_quant_type"),
        ({**CT, "config_groups": None}, "config_groups is missing"),
        ({**CT, "config_groups": {"a": {"weights": None}}}, "quantize no weights"),
        ({**CT, "config_groups": {"a": {"weights": {"num_bits": 99}}}}, "num_bits is 99"),
        ({**CT, "transform_config": {"config_groups": {"u": {}}}}, "transform_config, which is not undone"),
        ({**CT, "sparsity_config": {"format": "sparse-24-bitmask"}}, "sparsity_config, which is not undone"),
        ({**CT, "kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "it has a kv_cache_scheme"),
        ({**CT, "ignore": ["re:(a+)+$"]}, "could be matched for ever"),
        ({**CT, "ignore": ["re:" + ".*" * 20]}, "could be matched for ever"),
        ({**CT, "ignore": ["re:(.|.)*!"]}, "could be matched for ever"),
        ({**CT, "ignore": ["re:((a+))+!"]}, "could be matched for ever"),
        ({**CT, "ignore": ["re:(?x)(.|.) *!"]}, "could be matched for ever"),
        ({**TORCHAO, "quant_type": {"default": {"_data": {"re:(.|.)*!": 1}}}}, "could be matched for ever"),
        ({**GPTQ, "modules_to_not_convert": ["x" * 1000]}, "more modules, or longer ones"),
        ({"quant_method": "torchao", "quant_type": "int8"}, "quant_type is not an object"),
        ({"quant_method": "fp8", "weight_block_size": "128"}, "weight_block_size"),
        ({**FP8, "activation_scheme": ["static"]}, "activation_scheme is not a short text"),
    ],
)
def test_what_cannot_be_right_is_one_clear_error(value: object, named: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(value)
    assert named in str(caught.value)
    assert str(caught.value).startswith("m/config.json: ")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "known", [{}, {"a": 1}, {"a": {"weights": "qint3"}}, {"a": {"weights": "qint8", "activations": "qint8"}}]
)
def test_a_map_of_quanto_that_cannot_be_right_is_an_error(known: object) -> None:
    with pytest.raises(ModelError, match=r"quanto_qmap\.json"):
        read(None, known)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
METHODS = st.sampled_from(["gptq", "awq", "bitsandbytes", "compressed-tensors", "torchao", "fp8", "mxfp4"])
KEYS = st.sampled_from(
    [
        "bits",
        "group_size",
        "config_groups",
        "quant_type",
        "dataset",
        "meta",
        "load_in_8bit",
        "format",
        "activation_scheme",
    ]
)


@given(METHODS, st.dictionaries(KEYS, JSON), JSON)
def test_nothing_in_a_configuration_raises_anything_else(method: str, values: dict[str, Any], known: Any) -> None:
    for quanto_map in (None, known if isinstance(known, dict) else {}):
        try:
            storage_of({"quantization_config": {**values, "quant_method": method}}, quanto_map, "config.json")
        except ModelError:
            continue


def test_layers_without_a_weight_are_none() -> None:
    storage = read(GPTQ)
    names = ("qweight", "scales", "qzeros")
    empty = [TensorHeader(f"model.layers.0.mlp.up_proj.{name}", "I32", (0, 8)) for name in names]
    with pytest.raises(ModelError, match="no tensor of its files is stored so"):
        layers_of(storage, empty, "m")


def test_a_layer_that_holds_no_weight_by_its_configuration_is_refused() -> None:
    storage = read({**CT, "config_groups": {"a": {"weights": {"num_bits": 16}}}})
    byte = [TensorHeader("up_proj.weight", "I8", (1,)), TensorHeader("up_proj.weight_scale", "F16", (1,))]
    with pytest.raises(ModelError, match=r"compressed-tensors .* what is stored for up_proj holds no weight"):
        layers_of(storage, byte, "m")
