"""What quantizers that run on a CPU do to the embedded SmolLM2-135M-Instruct: docs/variants.md has all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.real import next_tokens
from tests.real.next_tokens import distributions, load, tokens_of

pytestmark = pytest.mark.embedded

Divergence = Callable[[str], tuple[float, float]]


@pytest.fixture(scope="module")
def divergence() -> Divergence:
    """Mean divergence of next-token distributions from those of fp16, and bits per weight; each spec loaded once."""
    reference = load("fp16")
    tokens = tokens_of(reference.tokenizer)
    expected = distributions(reference, tokens)

    @cache
    def measured(spec: str) -> tuple[float, float]:
        loaded = load(spec)
        return next_tokens.divergence(distributions(loaded, tokens), expected), loaded.audit.bits_per_weight

    return measured


@pytest.mark.parametrize(
    "family",
    [
        ("rtn:8bit", "rtn:4bit", "rtn:2bit"),
        ("rtn:8bit", "nf4", "fp4"),
        ("quanto:int8", "quanto:float8", "quanto:int4", "quanto:int2"),
        ("torchao:int8", "torchao:float8", "torchao:nvfp4"),
        ("torchao:int8", "torchao:int8-dynamic"),
        ("rtn:8bit", "mix:mlp=rtn:8bit;*=rtn:4bit", "rtn:4bit"),
    ],
    ids=" ".join,
)
def test_fewer_bits_are_farther_from_the_reference(divergence: Divergence, family: tuple[str, ...]) -> None:
    found = [divergence(spec) for spec in family]
    assert [bits for _, bits in found] == sorted((bits for _, bits in found), reverse=True)
    assert [each for each, _ in found] == sorted(each for each, _ in found)
    nearest, farthest = found[0][0], found[-1][0]
    assert 0 < nearest < 0.02
    assert farthest > 3 * nearest


def test_scales_that_are_quantized_again_take_fewer_bits_and_cost_little(divergence: Divergence) -> None:
    (single, bits), (double, fewer) = divergence("nf4"), divergence("nf4:double")
    assert bits == pytest.approx(4.5)  # 32 bits of scale for 64 weights
    assert fewer == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=0.01)
    assert double != single
    assert double == pytest.approx(single, rel=0.1)


def test_the_grid_that_the_weights_lie_on_is_found_again(divergence: Divergence) -> None:
    """The package carries them as 4-bit integers with a step and a least value for 32 of them."""
    assert divergence("rtn:4bit-g32")[0] < 1e-4 < divergence("rtn:4bit")[0]


def test_an_adapter_is_what_peft_makes_of_it(divergence: Divergence, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pytest_quantgate.variants.loading import quiet

    torch.manual_seed(0)
    plain = load("fp16")
    tokens = tokens_of(plain.tokenizer)
    with quiet():
        adapted: Any = get_peft_model(
            plain.model, LoraConfig(target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
        )
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        adapted.save_pretrained(str(tmp_path))
    with torch.inference_mode():
        expected = adapted.eval()(tokens).logits[0].log_softmax(-1)
    found = load(f"fp16+lora:{tmp_path}")
    assert found.audit.bits_per_weight == 16
    assert torch.allclose(distributions(found, tokens), expected, atol=2e-3)
    assert divergence(f"fp16+lora:{tmp_path}")[0] > 0.01
