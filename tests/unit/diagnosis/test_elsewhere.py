"""Candidates that were quantized elsewhere: what is kept of them is said as a mix with the reference's model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_quantgate.diagnosis import search
from pytest_quantgate.diagnosis.elsewhere import as_mix
from pytest_quantgate.diagnosis.orders import BY_EFFECT
from pytest_quantgate.diagnosis.protection import stored_of
from pytest_quantgate.errors import SpecError
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.modules import covers
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import Variant, prepare_variant
from tests.compressed_checkpoints import compressed_tensors
from tests.stored_checkpoints import gptq
from tests.tiny_model import build_tiny_model
from tests.unit.diagnosis.broken_pair import loaded, pair_of

ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
FEED_FORWARD = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
HEAD = "lm_head"
LINEAR = (*(f"model.layers.{number}.{name}" for number, name in product((0, 1), (*ATTENTION, *FEED_FORWARD))), HEAD)
BROKEN = "model.layers.1.mlp.down_proj"
NORM = "model.layers.0.input_layernorm.weight"

Make = Callable[[Path, Path], None]
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def made(tiny: Path, folder: Path, make: Make, change: Callable[[Tensors], None] = lambda _: None) -> Path:
    """A checkpoint made of the tiny model, and changed."""
    folder.mkdir()
    make(tiny, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def prepared(folder: Path, spec: str) -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu")


def weaker(scales: str) -> Callable[[Tensors], None]:
    """One layer gives a third of what it should."""

    def change(tensors: Tensors) -> None:
        tensors[f"{BROKEN}.{scales}"] *= 0.3

    return change


def test_a_layer_of_a_checkpoint_is_kept_by_a_mix_that_is_loaded_afresh(tiny: Path, tmp_path: Path) -> None:
    folder = made(tiny, tmp_path / "made", gptq(8), weaker("scales"))
    pair = pair_of(loaded(tiny, "fp16"), loaded(folder, "stored"))
    found = pair.search(max_bits=10.0)
    chosen = found.chosen
    assert chosen is not None
    assert chosen.spec == f"mix:layers.1.mlp.down_proj=fp16;*=(stored@{folder})@{tiny}"
    assert chosen.turned_back > chosen.lost
    assert found.before.spec == "stored"
    assert found.before.bits == pytest.approx(pair.candidate.audit.bits_per_weight)

    afresh = loaded(tiny, chosen.spec)
    for name in LINEAR[:-1]:
        source = pair.reference if name == BROKEN else pair.candidate
        weights = [each.model.get_parameter(f"{name}.weight") for each in (afresh, source)]
        assert torch.equal(*weights), name
    weights_in_all = sum(afresh.model.get_parameter(f"{name}.weight").numel() for name in LINEAR[:-1])
    others = pair.reference.audit.memory_bytes - 2 * weights_in_all
    assert chosen.bits == pytest.approx(8 * (afresh.audit.memory_bytes - others) / weights_in_all)
    assert chosen.memory_bytes == pytest.approx(afresh.audit.memory_bytes, rel=0.001)


def test_layers_that_quantize_activations_are_searched_by_their_effect(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ROUNDS", 1)
    monkeypatch.setattr(search, "DECODED_TOKENS", 0)
    folder = made(tiny, tmp_path / "made", compressed_tensors({"Linear": "W8A8"}), weaker("weight_scale"))
    found = pair_of(loaded(tiny, "fp16"), loaded(folder, "stored")).search(cases=4, max_bits=9.0)
    assert any(trial.way.startswith(BY_EFFECT) for trial in found.trials)
    chosen = found.chosen
    assert chosen is not None
    assert any(covers(name, BROKEN) for name in chosen.kept)
    of_two = [trial for trial in found.trials if trial.spec.endswith(f";*=(stored@{folder})@{tiny}")]
    assert any(trial.net > 0 for trial in of_two)
    assert loaded(tiny, of_two[0].spec).audit.modules_replaced > 0


def test_layers_that_were_scaled_together_with_norms_are_an_objection(tiny: Path, tmp_path: Path) -> None:
    def scale(tensors: Tensors) -> None:
        tensors[NORM] *= 2

    folder = made(tiny, tmp_path / "made", gptq(8), scale)
    pair = pair_of(loaded(tiny, "fp16"), loaded(folder, "stored"))
    found = pair.search(max_bits=10.0)
    assert (found.chosen, found.trials) == (None, ())
    assert found.before.bits == pytest.approx(pair.candidate.audit.bits_per_weight)
    assert found.reason.startswith(
        "no layer can be kept in higher precision: the candidate's would have to stand among those of the reference's "
        f"model, and its norms are not those of the model of the mix, such as {NORM}: its layers were scaled together"
    )


def test_a_checkpoint_is_a_mix_with_the_model_of_the_reference(tiny: Path, tmp_path: Path) -> None:
    folder = made(tiny, tmp_path / "made", gptq(8))
    found = as_mix(prepared(folder, "stored+kv:int8"), prepared(tiny, "fp32"), LINEAR, HEAD)
    assert str(found) == f"mix:*=(stored@{folder})@{tiny}+kv:int8"
    assert prepared(tiny, str(found)).description.max_bits is not None


def test_what_a_checkpoint_leaves_as_it_is_stays_plain(tiny: Path, tmp_path: Path) -> None:
    folder = made(tiny, tmp_path / "made", compressed_tensors({"re:.*mlp.*_proj": "W4A16"}))
    found = as_mix(prepared(folder, "stored"), prepared(tiny, "fp16"), LINEAR, HEAD)
    assert str(found) == f"mix:layers.0.self_attn=fp16;layers.1.self_attn=fp16;*=(stored@{folder})@{tiny}"
    stored = stored_of(found, dict.fromkeys(LINEAR, 100), HEAD, Audit(15, 6, 4.6, 2_000, 4_000))
    assert stored.protectable(16.0) == tuple(name for name in LINEAR if ".mlp." in name)
    assert prepared(tiny, str(found)).description.skipped


def test_each_layer_takes_what_the_files_hold_of_it(tiny: Path, tmp_path: Path) -> None:
    make = compressed_tensors({"re:.*attn.*_proj": "W8A16", "re:.*mlp.*_proj": "W4A16"})
    candidate = prepared(made(tiny, tmp_path / "made", make), "stored")
    shapes = {name: tensor.numel() for name, tensor in load_file(tiny / "model.safetensors").items()}
    weights = {name: shapes[f"{name}.weight"] for name in LINEAR}
    audit = Audit(15, 14, candidate.description.stored_bits, 2_000, 4_000)
    stored = stored_of(as_mix(candidate, prepared(tiny, "fp16"), LINEAR, HEAD), weights, HEAD, audit)
    assert stored.mean_bits() == pytest.approx(candidate.description.stored_bits)
    bits = {kind: [each for name, each in stored.bits.items() if kind in name] for kind in ("self_attn", "mlp")}
    assert min(bits["self_attn"]) >= 8
    assert 4 <= max(bits["mlp"]) < 6


def test_what_makes_no_mix_is_told(tiny: Path, tmp_path: Path) -> None:
    folder = made(tiny, tmp_path / "made", gptq(8))
    candidate, reference = prepared(folder, "stored"), prepared(tiny, "fp16")

    def told(one: Variant, other: Variant, *linear: str) -> str:
        with pytest.raises(SpecError) as caught:
            as_mix(one, other, linear or LINEAR, HEAD)
        return caught.value.what

    assert told(candidate, candidate) == "that model is quantized itself"
    assert told(candidate, reference, "h.0.attn") == "the candidate's files call its layers by other names"
    odd = replace(candidate, model=replace(candidate.model, name="a;b"))
    assert told(odd, reference) == "no spec can hold a path with a semicolon"
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "model_type": "mistral"}))
    assert "its model_type is 'mistral', and not 'llama'" in told(prepared(other, "stored"), reference)
