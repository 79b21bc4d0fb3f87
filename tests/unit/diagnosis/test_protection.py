"""Specs that keep layers in higher precision: what they name, and the bits that a variant of them takes when loaded."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_quantgate.diagnosis.protection import (
    LONGEST_SPEC,
    Stored,
    file_of,
    name_all,
    protect,
    stored_of,
    why_not,
    write_mix,
)
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.mix import FP16, map_of
from pytest_quantgate.variants.modules import matches
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import VariantSpec, parse_spec
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.stored_checkpoints import fp8
from tests.tiny_model import build_tiny_model

HEAD = "lm_head"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
EIGHT = VariantSpec("rtn", scheme="8bit-g64")


def linear(layers: int) -> tuple[str, ...]:
    return (
        *(
            f"model.layers.{number}.{block}.{kind}"
            for number in range(layers)
            for block, kinds in (("self_attn", ATTENTION), ("mlp", FEED_FORWARD))
            for kind in kinds
        ),
        HEAD,
    )


def of(*parts: str, layers: int = 12) -> list[str]:
    return [name for name in linear(layers) if any(f".{part}." in f".{name}." for part in parts)]


def spec_of(spec: str, kept: list[str], at: VariantSpec, layers: int = 12) -> str:
    found, _ = protect(parse_spec(spec), kept, at, linear=linear(layers), head=HEAD)
    assert parse_spec(str(found)) == found
    return str(found)


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        (of("down_proj"), ("down_proj",)),
        (of("layers.1"), ("layers.1",)),
        (of("layers.0", "layers.1", "v_proj"), ("v_proj", "layers.0", "layers.1")),
        (of("layers.1.mlp"), ("layers.1.mlp",)),
        (of("layers.1.mlp.up_proj"), ("layers.1.mlp.up_proj",)),
        (of("self_attn"), ("k_proj", "o_proj", "q_proj", "v_proj")),
    ],
)
def test_names_are_few_and_stand_for_nothing_else(kept: list[str], names: tuple[str, ...]) -> None:
    assert name_all(kept, linear(12)) == names


def test_names_stand_for_exactly_what_is_kept_whatever_it_is() -> None:
    chance = random.Random(0)
    every = linear(12)
    for _ in range(50):
        kept = chance.sample(every[:-1], chance.randrange(1, len(every) - 1))
        names = name_all(kept, every)
        assert {each for each in every if any(matches(name, each) for name in names)} == set(kept)
        assert len(names) <= len(kept)


def test_what_stays_as_it_is_is_skipped() -> None:
    kept = of("layers.0", "down_proj")
    assert spec_of("nf4", kept, FP16) == "nf4:skip=down_proj+layers.0"
    assert spec_of("nf4:double,skip=v_proj@org/name+kv:int8", of("layers.0.mlp"), FP16) == (
        "nf4:double,skip=layers.0.mlp+v_proj@org/name+kv:int8"
    )
    assert spec_of("rtn:3bit-g32", kept, FP16) == "rtn:3bit-g32,skip=down_proj+layers.0"


def test_another_precision_makes_a_mix_and_what_was_skipped_stays() -> None:
    assert spec_of("nf4", of("down_proj"), EIGHT) == "mix:down_proj=rtn:8bit-g64;*=nf4"
    assert spec_of("nf4:double,skip=v_proj@org/name+kv:int8", of("layers.0.mlp"), EIGHT) == (
        "mix:layers.0.mlp=rtn:8bit-g64;v_proj=fp16;*=nf4:double@org/name+kv:int8"
    )


def test_a_mix_gets_another_rule_and_loses_what_no_longer_decides() -> None:
    mix = "mix:layers.0.mlp.up_proj=fp4;layers.1=int8;*=nf4"
    assert spec_of(mix, of("layers.0"), FP16) == "mix:layers.0=fp16;layers.1=int8;*=nf4"
    assert spec_of(mix, of("up_proj"), EIGHT) == "mix:up_proj=rtn:8bit-g64;layers.1=int8;*=nf4"
    assert spec_of("mix:down_proj=rtn:2bit-g64;*=nf4", of("down_proj"), EIGHT) == "mix:down_proj=rtn:8bit-g64;*=nf4"


def test_weights_that_are_made_once_are_not_made_anew() -> None:
    assert spec_of("gptq:4bit-g128", of("layers.0"), FP16) == "mix:layers.0=fp16;*=gptq:4bit-g128"


def test_a_long_mix_is_a_file_where_a_spec_can_name_it(tmp_path: Path) -> None:
    kept = random.Random(0).sample(linear(80)[:-1], 200)
    inline = spec_of("nf4", kept, EIGHT, layers=80)
    assert len(inline) > LONGEST_SPEC
    folder = tmp_path / "made"
    filed, file = file_of(f"{inline}+kv:int8", folder)
    assert file is not None
    assert not folder.exists()
    write_mix(inline, file)
    assert filed == f"mix:{file}+kv:int8"
    assert str(map_of(parse_spec(filed))) == inline.removeprefix("mix:")
    assert file_of(inline, folder)[1] == file
    assert file_of(inline, tmp_path / "a=b") == (inline, None)
    short = "mix:layers.0=rtn:8bit-g64;*=nf4"
    assert file_of(short, folder) == (short, None)


def test_layers_of_another_model_stay_those_of_that_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    mix = spec_of("mix:v_proj=int8;*=(stored@made)", of("layers.0"), FP16)
    assert mix == "mix:layers.0=fp16;v_proj=int8;*=(stored@made)"
    path = tmp_path / "repairs" / "mix.json"
    write_mix(mix, path)
    assert map_of(parse_spec(f"mix:{path}")).models == (str(tmp_path / "made"),)


def test_what_a_server_holds_cannot_be_protected() -> None:
    assert "server" in (why_not(parse_spec("http://localhost:8000/v1#name")) or "")
    assert why_not(parse_spec("mix:down_proj=int8;*=nf4")) is None


def test_bits_are_means_over_weights() -> None:
    stored = Stored({"a": 300, "b": 100}, {"a": 4.0, "b": 8.0}, 1_000)
    assert stored.mean_bits() == 5.0
    assert stored.mean_bits(["a"], 8.0) == 8.0
    assert stored.memory(["a"], 8.0) == 1_000 + 300 * 4 / 8
    assert stored.protectable(8.0) == ("a",)
    assert stored.protectable(16.0) == ("a", "b")


def test_a_checkpoint_made_elsewhere_takes_what_its_audit_found() -> None:
    weights = dict.fromkeys(linear(1), 100)
    stored = stored_of(parse_spec("stored@model.gguf"), weights, HEAD, Audit(8, 8, 4.75, 2_000, 3_000))
    assert (stored.mean_bits(), stored.memory_bytes) == (4.75, 2_000)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a checkpoint that was quantized elsewhere, to 8 bits."""
    folder = tmp_path_factory.mktemp("made")
    fp8(tiny, folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def loaded(folder: Path, spec: str) -> LoadedModel:
    return load_variant(prepare_variant(spec, resolve_model(str(folder)), device="cpu"))


@pytest.mark.parametrize("at", [FP16, EIGHT])
@pytest.mark.parametrize(
    "spec",
    [
        "rtn:3bit-g64",
        "nf4:skip=layers.1.self_attn",
        "int8",  # a scale for each row: its description knows that only about
        "mix:down_proj=rtn:4bit-g32;layers.1.self_attn=fp16;*=rtn:2bit-g64",
        "mix:down_proj=rtn:2bit-g32;*=(stored@MADE)",
    ],
)
def test_bits_and_bytes_are_what_the_audit_of_the_protected_variant_finds(
    tiny: Path, made: Path, spec: str, at: VariantSpec
) -> None:
    plain, candidate = loaded(tiny, "fp16"), loaded(tiny, spec.replace("MADE", str(made)))
    weights = {
        name: module.in_features * module.out_features
        for name, module in plain.model.named_modules()
        if isinstance(getattr(module, "in_features", None), int)
    }
    stored = stored_of(candidate.variant.spec, weights, HEAD, candidate.audit)
    bits = {FP16: 16.0, EIGHT: 8.5}[at]
    kept = [name for name in of("layers.0.mlp", "v_proj", layers=2) if name in stored.protectable(bits)]
    protected, _ = protect(candidate.variant.spec, kept, at, linear=tuple(weights), head=HEAD)
    found = loaded(tiny, str(protected)).audit
    total = sum(stored.weights.values())
    others = plain.audit.memory_bytes - 2 * total  # embedding, norms and output head, which no quantizer touches
    assert stored.mean_bits() == pytest.approx(8 * (candidate.audit.memory_bytes - others) / total)
    assert stored.memory(kept, bits) == pytest.approx(found.memory_bytes, rel=0.002)
    assert stored.mean_bits(kept, bits) == pytest.approx(8 * (found.memory_bytes - others) / total, rel=0.01)
