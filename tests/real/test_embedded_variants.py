"""What quantizers that run on a CPU do to the embedded SmolLM2-135M-Instruct: docs/variants.md has all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

pytestmark = pytest.mark.embedded

TEXT = (
    "A lighthouse is a tower that carries a lamp, and it is built where ships need to know how far they are from rocks "
    "or from the mouth of a harbour. Today most of them are automatic: a sensor switches the lamp on at dusk, and a "
    "second lamp moves into place when the first one fails. Question: why are the towers painted in stripes? Answer: "
)
Divergence = Callable[[str], tuple[float, float]]


@pytest.fixture(scope="module")
def divergence() -> Divergence:
    """Mean divergence of next-token distributions from those of fp16, and bits per weight; each spec loaded once."""
    from torch.nn import functional

    reference = _distributions("fp16")[0]

    @cache
    def measured(spec: str) -> tuple[float, float]:
        found, bits = _distributions(spec)
        return float(functional.kl_div(found, reference, log_target=True, reduction="batchmean")), bits

    return measured


def _distributions(spec: str) -> tuple[Any, float]:
    loaded = _loaded(spec)
    return _distribution(loaded.model, loaded.tokenizer), loaded.audit.bits_per_weight


def _loaded(spec: str) -> LoadedModel:
    return load_variant(prepare_variant(spec, resolve_model("smollm2"), device="cpu"))


def _distribution(model: Any, tokenizer: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(**tokenizer(TEXT, return_tensors="pt")).logits[0].log_softmax(-1)


@pytest.mark.parametrize(
    "family",
    [
        ("rtn:8bit", "rtn:4bit", "rtn:2bit"),
        ("quanto:int8", "quanto:int2"),
        ("torchao:int8", "torchao:float8"),
        ("rtn:8bit", "mix:mlp=rtn:8bit;*=rtn:4bit", "rtn:4bit"),
    ],
    ids=lambda family: str(family[0]),
)
def test_fewer_bits_are_farther_from_the_reference(divergence: Divergence, family: tuple[str, ...]) -> None:
    found = [divergence(spec) for spec in family]
    assert [bits for _, bits in found] == sorted((bits for _, bits in found), reverse=True)
    assert [each for each, _ in found] == sorted(each for each, _ in found)
    nearest, farthest = found[0][0], found[-1][0]
    assert 0 < nearest < 0.02
    assert farthest > 3 * nearest


def test_the_grid_that_the_weights_lie_on_is_found_again(divergence: Divergence) -> None:
    """The package carries them as 4-bit integers with a step and a least value for 32 of them."""
    assert divergence("rtn:4bit-g32")[0] < 1e-4 < divergence("rtn:4bit")[0]


def test_an_adapter_is_what_peft_makes_of_it(divergence: Divergence, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from pytest_quantgate.variants.loading import quiet

    torch.manual_seed(0)
    plain = _loaded("fp16")
    with quiet():
        adapted = get_peft_model(plain.model, LoraConfig(target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        adapted.save_pretrained(str(tmp_path))
    expected = _distribution(adapted.eval(), plain.tokenizer)
    found, bits = _distributions(f"fp16+lora:{tmp_path}")
    assert bits == 16
    assert torch.allclose(found, expected, atol=2e-3)
    assert divergence(f"fp16+lora:{tmp_path}")[0] > 0.01
