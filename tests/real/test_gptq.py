"""GPTQ on two layers of the embedded model, calibrated on little text, beside rounding to nearest: on other text."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants import gptq_making, gptq_solver
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant
from tests.real.next_tokens import distributions, divergence, tokens_of

pytestmark = pytest.mark.embedded

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "variants.py"
SKIPPED = "+".join(f"layers.{layer}" for layer in range(2, 30))
LENGTH, SEQUENCES = 128, 32
NEAREST = "nearest"
Measured = Callable[[str], tuple[float, float]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """How far from fp16 a spec of the first two layers is along the text of docs/variants.md, and bits per weight.

    ``nearest:`` is ``gptq:`` for inputs that have nothing to do with one another: its grid, rounded to nearest.
    """
    source = resolve_model("smollm2")
    reference = load_variant(prepare_variant("fp16", source, device="cpu"))
    tokens = tokens_of(reference.tokenizer, runpy.run_path(str(BENCHMARK))["TEXT"])
    expected = distributions(reference, tokens)

    @cache
    def measured(spec: str) -> tuple[float, float]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
            patch.setattr(gptq_making, "LENGTH", LENGTH)
            patch.setattr(gptq_making, "sequences_for", lambda *_: SEQUENCES)
            if spec.startswith(NEAREST):
                patch.setattr(gptq_making, "solve", _nearest)
            named = f"{spec.replace(NEAREST, 'gptq')},skip={SKIPPED}"
            loaded = load_variant(prepare_variant(named, source, device="cpu"))
        assert loaded.audit.modules_replaced == 2 * 7
        return divergence(distributions(loaded, tokens), expected), loaded.audit.bits_per_weight

    return measured


def _nearest(weight: torch.Tensor, hessian: torch.Tensor, bits: int, group: int) -> gptq_solver.Solution:
    return gptq_solver.solve(weight, torch.eye(len(hessian)), bits, group)


def test_fewer_bits_are_farther_from_the_reference(measured: Measured) -> None:
    eight, four, two = (measured(f"gptq:{bits}bit-g64")[0] for bits in (8, 4, 2))
    assert 0 < eight < 0.001
    assert 10 * eight < four < 0.1
    assert 10 * four < two


def test_it_loses_less_than_rounding_to_nearest_on_the_same_grid(measured: Measured) -> None:
    solved, nearest = measured("gptq:4bit-g64"), measured(f"{NEAREST}:4bit-g64")
    assert solved[1] == nearest[1]
    assert solved[0] < 0.8 * nearest[0]


@pytest.mark.parametrize("bits", [4, 2])
def test_it_loses_less_than_rtn_at_as_many_bits(measured: Measured, bits: int) -> None:
    """``rtn`` stores a least value beside each step, and so has longer groups in as many bits."""
    solved, rounded = measured(f"gptq:{bits}bit-g64"), measured(f"rtn:{bits}bit-g96")
    assert solved[1] == pytest.approx(rounded[1], abs=0.03)
    assert solved[0] < rounded[0]
