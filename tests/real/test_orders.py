"""Fewer bits are farther from the reference, on weights that were trained: GPTQ, and the types of GGUF files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import LlamaFileType as Mixture
from torch.nn import functional

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.loading import load_tokenizer
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.gguf_files import write_checkpoint
from tests.served import TINY_INSTRUCT

PROMPTS = 12
Divergence = Callable[[str, Path], tuple[float, float]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For what is made; the user's own cache folder is left alone."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def divergence(folder: Path) -> Divergence:  # noqa: ARG001  (its cache folder)
    """Mean divergence of next-token distributions from those of fp16, over a few prompts, and bits per weight."""
    tokenizer: Any = load_tokenizer(TINY_INSTRUCT)
    cases = load_slice(TINY_INSTRUCT.parent / "slices" / "math.slice.yaml", builtin_registry()).cases[:PROMPTS]
    chats = [[{"role": each.role, "content": each.content} for each in case.messages] for case in cases]
    prompts = [
        tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")["input_ids"]
        for chat in chats
    ]

    @cache
    def distributions(spec: str, model: Path) -> tuple[torch.Tensor, float]:
        loaded = load_variant(prepare_variant(spec, resolve_model(str(model), note=lambda _: None), device="cpu"))
        network: Any = loaded.model
        with torch.inference_mode():
            logits = torch.cat([network(prompt).logits[0] for prompt in prompts])
        return logits.log_softmax(-1), loaded.audit.bits_per_weight

    def measured(spec: str, model: Path) -> tuple[float, float]:
        found, bits = distributions(spec, model)
        reference, _ = distributions("fp16", TINY_INSTRUCT)
        return float(functional.kl_div(found, reference, log_target=True, reduction="batchmean")), bits

    return measured


def test_gptq_with_fewer_bits_is_farther_from_the_reference(divergence: Divergence) -> None:
    found = [divergence(f"gptq:{bits}bit-g32", TINY_INSTRUCT) for bits in (8, 3)]
    assert [round(bits - scales, 1) for (_, bits), scales in zip(found, (8, 3), strict=True)] == [0.9, 0.8]
    near, far = (each for each, _ in found)
    assert 0 < near < 0.02
    assert far > 10 * near


def test_gguf_types_get_worse_in_the_order_of_their_bits(divergence: Divergence, folder: Path) -> None:
    """K-quants take blocks of 256 weights, and rows of this model have 128."""
    found = []
    for kind in (Kind.Q8_0, Kind.Q5_0, Kind.Q4_0):
        file = folder / f"{kind.name}.gguf"
        write_checkpoint(file, TINY_INSTRUCT, kind, Mixture[f"MOSTLY_{kind.name}"])
        found.append(divergence("stored", file))
    bits = [bits for _, bits in found]
    lost = [each for each, _ in found]
    assert bits == sorted(bits, reverse=True)
    assert lost == sorted(lost)
    assert 0 < lost[0] < 0.02 < lost[-1]
