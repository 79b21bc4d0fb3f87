"""What quantized keys and values do to recall in a long text, on a real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

pytestmark = pytest.mark.embedded

SLICE = """
slice: recalled
generate: {generator: needle, seed: 5, depths: [0.1, 0.9], lengths: [{tokens: 350, texts: 1, questions: 2}]}
"""


def test_fewer_bits_recall_worse(tmp_path: Path) -> None:
    path = tmp_path / "recalled.slice.yaml"
    path.write_text(SLICE)
    cases = load_slice(path, builtin_registry()).cases
    loaded = load_variant(prepare_variant("fp16", resolve_model("smollm2")))
    requests = [Request(case.messages, 1, recall=(str(case.checks[0].arguments["text"]),)) for case in cases]
    prompts, _ = tokenize(loaded.tokenizer, requests, 8192)

    def recalled(kv: str | None) -> list[float]:
        """The log-probability of each number that is asked for."""
        steps = Decoder(loaded.model, frozenset(), 1 << 30, kv=kv).run(prompts)
        found = {decoded.prompt.digest: decoded.recall[0] for step in steps for decoded in step.finished}
        return [sum(found[prompt.digest].log_probabilities) for prompt in prompts]

    exact, found = recalled(None), {kv: recalled(kv) for kv in ("int8", "int4", "int2")}
    moved = {kv: sum(abs(one - other) for one, other in zip(found[kv], exact, strict=True)) for kv in found}
    assert moved["int8"] < moved["int4"] < moved["int2"]
    assert moved["int8"] < 0.5  # of log-probabilities of whole numbers, summed
    assert sum(found["int2"]) < sum(exact) - 5
