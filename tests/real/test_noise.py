"""Noise on the embedded model: the same weights run another way turn tokens in bfloat16, and none in float32."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant, run_another_way

pytestmark = pytest.mark.embedded

SLICES = ("format", "math")


def differing(folder: Path, dtype: str, every: int, *, kernels: bool) -> tuple[int, int]:
    """How many answers differ, of how many, when the reference runs another way."""
    registry = builtin_registry()
    slices = [load_slice(path, registry) for path in suite_files("core")]
    requests = [Request.of(case) for each in slices if each.name in SLICES for case in each.cases[::every]]
    variant = prepare_variant("fp16", resolve_model("smollm2"), device="cpu", compute_dtype=dtype)
    with CompletionCache(folder / "answers.sqlite") as cache:
        usual, another = (
            answer(each, requests, cache, SilentProgress()).completions
            for each in (variant, run_another_way(variant, kernels=kernels))
        )
    assert len(usual) == len(requests)
    return sum(usual[digest].token_ids != another[digest].token_ids for digest in usual), len(usual)


def test_in_bfloat16_some_answers_differ_and_most_do_not(tmp_path: Path) -> None:
    turned, asked = differing(tmp_path, "bfloat16", 12, kernels=False)
    assert 0 < turned < asked / 2


def test_in_float32_none_does_even_with_other_kernels(tmp_path: Path) -> None:
    assert differing(tmp_path, "float32", 24, kernels=True)[0] == 0
