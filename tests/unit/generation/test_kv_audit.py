"""The audit of keys and values: what a scheme stores passes in every dtype, and what was never quantized does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_quantgate.cases.model import Message
from pytest_quantgate.errors import AuditError
from pytest_quantgate.generation import decode
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.kv_audit import check_stored
from pytest_quantgate.generation.kv_quant import as_they_are, store_of
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.slots import SlotLayer
from pytest_quantgate.variants.kv import SCHEMES
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant
from tests.tiny_model import WORDS, build_tiny_model

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def random_states(width: int = 64, seed: int = 0) -> torch.Tensor:
    """Numbers of many sizes, some groups of which lie far from zero."""
    chance = torch.Generator().manual_seed(seed)
    sizes = 10.0 ** torch.randint(-9, 4, (2, 3, 150, 1), generator=chance)
    offsets = torch.randint(-2, 3, (2, 3, 150, 1), generator=chance)
    return (torch.randn(2, 3, 150, width, generator=chance) + offsets) * sizes


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [16, 20, 64])
def test_whatever_a_scheme_stores_passes(scheme: str, dtype: torch.dtype, width: int) -> None:
    for seed in range(5):
        stored = store_of(scheme)(random_states(width, seed).to(dtype))
        check_stored(scheme, [(stored, stored)])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("odd", [0.0, 7.25, 1e-30, 6e4, float("inf"), float("nan")])
def test_groups_that_tell_nothing_pass(scheme: str, odd: float) -> None:
    states = random_states()
    states[0] = odd
    states[1, :, ::2, 3] = odd
    stored = store_of(scheme)(states)
    check_stored(scheme, [(stored, stored)])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_was_never_quantized_is_refused_and_named(scheme: str, dtype: torch.dtype) -> None:
    states = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    stored = store_of(scheme)(states)
    with pytest.raises(AuditError) as caught:
        check_stored(scheme, [(stored, stored), (stored, states)])
    assert str(caught.value).startswith(f"+kv:{scheme}: the values that layer 1 reads are not quantized: ")
    assert f" of 384 groups are not of {scheme}\n" in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_of_what_was_never_quantized_every_group_tells(scheme: str, dtype: torch.dtype) -> None:
    states = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    with pytest.raises(AuditError, match=f": 384 of 384 groups are not of {scheme}"):
        check_stored(scheme, [(states, states)])


@pytest.mark.parametrize(("scheme", "more"), [("int2", "int4"), ("int4", "int8"), ("int8", "fp8"), ("fp8", "int8")])
def test_one_scheme_does_not_pass_for_another_of_fewer_levels_or_other_ones(scheme: str, more: str) -> None:
    stored = store_of(more)(torch.randn(1, 2, 9, 64, generator=torch.Generator().manual_seed(2)))
    with pytest.raises(AuditError, match=f"are not of {scheme}"):
        check_stored(scheme, [(stored, stored)])


def write_unstored(self: SlotLayer, keys: torch.Tensor, values: torch.Tensor) -> None:
    """What a step would write if it forgot to quantize."""
    rows, cursor = self._pool.active, self._pool.cursor
    self.keys[:rows, :, cursor : cursor + 1] = keys
    self.values[:rows, :, cursor : cursor + 1] = values


@pytest.mark.parametrize("where", ["prompts", "steps"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_candidate_that_reads_what_was_not_quantized_is_refused_and_no_answer_of_it_is_kept(
    scheme: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "prompts":
        monkeypatch.setattr(decode, "store_of", lambda _: as_they_are)
    else:
        monkeypatch.setattr(SlotLayer, "write", write_unstored)
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    variant = prepare_variant(f"fp16+kv:{scheme}", source, device="cpu")
    tokens = 1 if where == "prompts" else 6  # the first comes of the prompt, without a step
    asked = [Request((Message("user", " ".join(WORDS[number : number + 4])),), tokens) for number in range(3)]
    with CompletionCache(tmp_path / "cache.sqlite3") as cache:
        with pytest.raises(AuditError, match=rf"^\+kv:{scheme}: the keys that layer 0 reads are not quantized"):
            answer(variant, asked, cache, SilentProgress())
        assert cache.info().completions == 0


def test_what_is_quantized_in_prompts_and_steps_answers(tmp_path: Path) -> None:
    source = resolve_model(str(build_tiny_model(tmp_path / "tiny")))
    asked = [Request((Message("user", " ".join(WORDS[number : number + 4])),), 6) for number in range(3)]
    for scheme in SCHEMES:
        for dtype in ("float32", "bfloat16"):
            variant = prepare_variant(f"fp16+kv:{scheme}", source, device="cpu", compute_dtype=dtype)
            with CompletionCache(tmp_path / "cache.sqlite3") as cache:
                assert len(answer(variant, asked, cache, SilentProgress()).completions) == 3
