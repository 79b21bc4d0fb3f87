"""Candidates that are broken on purpose: what is broken, and that the rest is not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

KINDS = ["2bit", "zeroed-layer", "shuffled-head"]
TOKENS = torch.tensor([[2, 4, 10, 11, 12, 13, 3, 4]])


def loaded(folder: Path, spec: str) -> Any:
    return load_variant(prepare_variant(spec, resolve_model(str(folder)), device="cpu")).model


@pytest.mark.parametrize("kind", KINDS)
def test_a_ruined_model_computes_something_else(pristine: Path, kind: str) -> None:
    exact, ruined = loaded(pristine, "fp16"), loaded(pristine, f"ruin:{kind}")
    with torch.inference_mode():
        assert not torch.allclose(exact(TOKENS).logits, ruined(TOKENS).logits, atol=0.01)


@pytest.fixture(scope="module")
def of_another_family(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2: its blocks hold no linear layers of torch and have another name."""
    folder = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("gpt2"), dirs_exist_ok=True))
    config = GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    model: Any = GPT2LMHeadModel(config)
    model.half().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_other_families_are_ruined_too(of_another_family: Path, kind: str) -> None:
    exact, ruined = loaded(of_another_family, "fp16"), loaded(of_another_family, f"ruin:{kind}")
    with torch.inference_mode():
        assert not torch.allclose(exact(TOKENS).logits, ruined(TOKENS).logits, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_ruin_twice_is_the_same(pristine: Path, kind: str) -> None:
    first, second = (dict(loaded(pristine, f"ruin:{kind}").named_parameters()) for _ in range(2))
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())


def test_two_bits_leave_four_levels_to_a_group(pristine: Path) -> None:
    model = loaded(pristine, "ruin:2bit")
    weight = model.model.layers[0].self_attn.q_proj.weight
    group = 64 if weight.shape[1] % 64 == 0 else weight.shape[1]
    assert max(len(part.unique()) for part in weight.view(-1, group)) <= 4
    exact = loaded(pristine, "fp16")
    assert torch.equal(model.lm_head.weight, exact.lm_head.weight)


def test_a_zeroed_layer_passes_on_what_it_gets(pristine: Path) -> None:
    model = loaded(pristine, "ruin:zeroed-layer")
    with torch.inference_mode():
        states = model.model(TOKENS, output_hidden_states=True).hidden_states
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[1], states[2])


def test_a_shuffled_head_holds_the_same_rows_and_leaves_the_embedding_alone(pristine: Path) -> None:
    exact, model = loaded(pristine, "fp16"), loaded(pristine, "ruin:shuffled-head")
    assert torch.equal(model.get_input_embeddings().weight, exact.get_input_embeddings().weight)
    rows, ruined = exact.lm_head.weight, model.lm_head.weight
    assert not torch.equal(rows, ruined)
    assert torch.equal(rows.sum(1).sort().values, ruined.sum(1).sort().values)


@pytest.mark.parametrize("spec", ["ruin", "ruin:2bit,zeroed-layer"])
def test_one_kind_of_damage_must_be_named(pristine: Path, spec: str) -> None:
    with pytest.raises(SpecError, match="one of ruin:2bit, ruin:zeroed-layer, ruin:shuffled-head"):
        prepare_variant(spec, resolve_model(str(pristine)), device="cpu")
