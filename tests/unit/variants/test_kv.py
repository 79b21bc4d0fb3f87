from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.variants.kv import bits_of, described, group_of
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant


@pytest.mark.parametrize(
    ("scheme", "width", "bits"),
    [
        ("int8", 64, 9),
        ("int4", 64, 5),
        ("int2", 128, 3),
        ("fp8", 64, 8.5),
        ("int4", 16, 6),  # one group a head
        ("int8", 80, 8.4),
        ("int4", 96, 5),
    ],
)
def test_bits_count_scales_and_offsets(scheme: str, width: int, bits: float) -> None:
    assert bits_of(scheme, width) == pytest.approx(bits)


@pytest.mark.parametrize(("width", "group"), [(32, 32), (64, 32), (96, 32), (128, 32), (16, 16), (80, 80), (1, 1)])
def test_a_head_that_cannot_be_cut_into_groups_of_32_is_one(width: int, group: int) -> None:
    assert group_of(width) == group


CONFIG = {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576, "num_hidden_layers": 30}


def told(tmp_path: Path, config: Any, scheme: str = "int8") -> str:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return described(scheme, tmp_path)


def test_people_are_told_bits_and_bytes_of_a_token(tmp_path: Path) -> None:
    assert told(tmp_path, CONFIG) == (
        "keys and values int8 in groups of 32, 9 bits with scales (12,960 bytes a token, 23,040 in fp16)"
    )
    assert told(tmp_path, {"text_config": CONFIG}) == told(tmp_path, CONFIG)
    assert told(tmp_path, CONFIG | {"head_dim": 80}, "int4") == (
        "keys and values int4 in groups of 80, 4.4 bits with scales (7,920 bytes a token, 28,800 in fp16)"
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"text_config": None},
        CONFIG | {"num_attention_heads": 0},
        CONFIG | {"head_dim": "64"},
        CONFIG | {"num_hidden_layers": 10**400},
        [],
    ],
)
def test_a_configuration_that_does_not_tell_leaves_the_bytes_out(tmp_path: Path, config: Any) -> None:
    assert told(tmp_path, config) == "keys and values int8 in groups of 32, 9 bits with scales"


def test_it_is_a_fact_of_the_identity(pristine: Path) -> None:
    source = resolve_model(str(pristine))
    facts = {
        spec: prepare_variant(spec, source, device="cpu").identity for spec in ("fp16", "fp16+kv:fp8", "fp16+kv:int8")
    }
    assert "kv" not in facts["fp16"].fields
    assert facts["fp16+kv:fp8"].fields["kv"] == "fp8 in groups of 16, 9 bits with scales"
    assert len({identity.digest for identity in facts.values()}) == 3


def test_memory_counts_them_as_they_are_computed_and_nothing_limits_the_bits(pristine: Path) -> None:
    source = resolve_model(str(pristine))
    plain, quantized = (prepare_variant(spec, source, device="cpu") for spec in ("fp16", "fp16+kv:int2"))
    assert quantized.needed_bytes == plain.needed_bytes
    assert quantized.description.max_bits is None
    assert quantized.summary == (
        "weights rounded to float16, nothing quantized; keys and values int2 in groups of 16, 4 bits with scales "
        "(64 bytes a token, 256 in fp16)"
    )
