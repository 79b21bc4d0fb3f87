"""Layers of one model for another that computes in another dtype: what they hold, and what is kept of them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_quantgate.diagnosis.donors import Brought, Rounded, can_lend, group_of
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.variants.rounding import store_rounded

NAMES = ("model.layers.0.mlp.down_proj", "model.layers.1.self_attn.v_proj")
TEXT = torch.tensor([[3, 9, 4, 20]])


@pytest.fixture(scope="module")
def reference() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=48,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        attention_bias=True,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval().requires_grad_(requires_grad=False)


def weights(donor: torch.nn.Module) -> list[torch.Tensor]:
    return [donor.get_parameter(f"{name}.weight") for name in NAMES]


def test_where_both_compute_alike_the_reference_lends_its_own(reference: Any) -> None:
    lent = Brought(reference, deepcopy(reference)).donor(NAMES)
    assert all(lent.get_submodule(name) is reference.get_submodule(name) for name in NAMES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_layers_are_brought_to_the_dtype_of_the_one_that_runs_them(reference: Any, dtype: torch.dtype) -> None:
    candidate = deepcopy(reference).to(dtype)
    for lent in (Brought(reference, candidate).donor(NAMES), Rounded(reference, candidate, 32).donor(NAMES)):
        assert {weight.dtype for weight in weights(lent)} == {dtype}
        with swapped(candidate, lent, NAMES), torch.no_grad():
            assert candidate(TEXT).logits.isfinite().all()
    brought = Brought(reference, candidate).donor(NAMES)
    assert all(
        torch.equal(weight, reference.get_parameter(f"{name}.weight").to(dtype))
        for name, weight in zip(NAMES, weights(brought), strict=True)
    )
    assert {each.dtype for each in reference.parameters()} == {torch.float32}


def test_what_is_kept_as_fp16_is_rounded_as_fp16_stores_it(reference: Any) -> None:
    found = weights(Brought(reference, deepcopy(reference), rounded=True).donor(NAMES))
    for name, weight in zip(NAMES, found, strict=True):
        own = reference.get_parameter(f"{name}.weight")
        assert torch.equal(weight, own.half().float())
        assert not torch.equal(weight, own)
    bias = Brought(reference, deepcopy(reference), rounded=True).donor(NAMES).get_parameter(f"{NAMES[1]}.bias")
    assert torch.equal(bias, reference.get_parameter(f"{NAMES[1]}.bias"))


def test_layers_are_rounded_once_and_kept_as_they_would_be_stored(
    reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounded = Rounded(reference, deepcopy(reference), 32)
    first = weights(rounded.donor(NAMES))
    for name, weight in zip(NAMES, first, strict=True):
        stored = store_rounded(reference.get_parameter(f"{name}.weight").half(), 8, 32)
        assert torch.equal(weight, stored.weight(weight.dtype))
    monkeypatch.setattr("pytest_quantgate.diagnosis.donors.store_rounded", None)
    again = weights(rounded.donor(NAMES))
    assert all(map(torch.equal, first, again))
    held = sum(each.nbytes for each in rounded._stored.values())  # noqa: SLF001
    assert held == sum(weight.numel() for weight in first) * (8 + 32 / 32) / 8
    assert not any(one is other for one, other in zip(first, again, strict=True))


def test_layers_that_fit_no_group_are_not_rounded(reference: Any) -> None:
    assert group_of(reference, NAMES) == 32
    assert group_of(reference, NAMES[:1]) == 64
    copy = deepcopy(reference)
    copy.set_submodule(NAMES[0], torch.nn.Linear(60, 32))
    assert group_of(copy, NAMES) is None
    copy.set_submodule(NAMES[0], torch.nn.Identity())
    assert group_of(copy, NAMES) is None


def test_layers_of_other_kernels_can_be_lent_only_where_both_compute_alike(reference: Any) -> None:
    class Packed(torch.nn.Linear):
        pass

    packed = deepcopy(reference)
    packed.set_submodule(NAMES[0], Packed(64, 32))
    assert can_lend(packed, reference, NAMES)
    assert can_lend(packed, deepcopy(reference).half(), NAMES[1:])
    assert not can_lend(packed, deepcopy(reference).half(), NAMES)
