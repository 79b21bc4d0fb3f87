"""Noise on the embedded model: the same weights run another way turn tokens in bfloat16.

That none turns in float32 is shown on the tiny model, with other kernels too (tests/unit/generation/test_schedule.py),
and for batches and order on this one (test_embedded_answers.py); docs/gates.md has the figures of whole slices.
"""

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

NEW_TOKENS = 24


def test_in_bfloat16_answers_differ_when_the_reference_runs_another_way(tmp_path: Path) -> None:
    registry = builtin_registry()
    slices = {each.name: each for each in (load_slice(path, registry) for path in suite_files("core"))}
    requests = [Request(case.messages, NEW_TOKENS) for case in slices["refusals"].cases[::12]]
    variant = prepare_variant("fp16", resolve_model("smollm2"), device="cpu", compute_dtype="bfloat16")
    with CompletionCache(tmp_path / "answers.sqlite") as cache:
        usual, another = (
            answer(each, requests, cache, SilentProgress()).completions
            for each in (variant, run_another_way(variant, kernels=False))
        )
    assert len(usual) == len(another) == len(requests)
    assert any(usual[digest].token_ids != another[digest].token_ids for digest in usual)
