"""What the embedded model answers does not depend on what else it is asked."""

from __future__ import annotations

import random

import pytest

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.prompts import Prompt, tokenize
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

pytestmark = pytest.mark.embedded

EVERY = 40  # one case in this many, of all four slices of core
NEW_TOKENS = 12
STOP_TOKEN = 2


def test_in_float32_batch_size_and_order_change_nothing() -> None:
    loaded = load_variant(prepare_variant("fp16", resolve_model("smollm2")))
    registry = builtin_registry()
    cases = [case for file in suite_files("core") for case in load_slice(file, registry).cases[::EVERY]]
    requests = [Request(case.messages, NEW_TOKENS) for case in cases if len(case.prompt) < 8000]
    prompts, refused = tokenize(loaded.tokenizer, requests, 8192)
    assert not refused
    assert len(prompts) >= 8

    def answers(order: list[Prompt], kv_bytes: int) -> dict[str, tuple[int, ...]]:
        steps = Decoder(loaded.model, frozenset({STOP_TOKEN}), kv_bytes).run(order)
        return {decoded.prompt.digest: decoded.token_ids for step in steps for decoded in step.finished}

    together = answers(prompts, 4 << 30)
    random.Random(1).shuffle(prompts)
    assert answers(prompts, 1) == together  # one row at a time
