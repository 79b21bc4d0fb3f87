"""What quantized keys and values change on a real model, ours and those of transformers' own quantized cache.

    python benchmarks/kv_cache.py

Six questions about numbers in texts of 900 tokens, read by SmolLM2-135M-Instruct in float32: by how much the
log-probability of the right number moves, and along the right answers of the first two the mean divergence from the
unquantized model. transformers' cache needs optimum-quanto. Takes about four minutes on two cores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import QuantizedCache

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.decode import Decoder
from pytest_quantgate.generation.kv_quant import cache_of, store_of
from pytest_quantgate.generation.prompts import Prompt, tokenize
from pytest_quantgate.variants.kv import SCHEMES
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

SLICE = """
slice: kv
generate: {generator: needle, seed: 5, depths: [0.1, 0.5, 0.9], lengths: [{tokens: 900, texts: 2, questions: 3}]}
"""
CONTEXT = 8192
DEPLOYED = 2
"""Prompts that are read token by token."""

Fresh = Callable[[], Any]
"""Makes an empty cache."""


def main() -> None:
    """Print a line for each way of storing keys and values."""
    loaded = load_variant(prepare_variant("fp16", resolve_model("smollm2")))
    asked = prompts(loaded)
    exact = recalled(loaded, asked, None)
    for scheme in SCHEMES:
        found = recalled(loaded, asked, scheme)
        moved = sum(abs(one - other) for one, other in zip(found, exact, strict=True)) / len(exact)
        print(f"+kv:{scheme}: the log-probability of the right number moves by {moved:.2f}")
    config: Any = loaded.model.config
    ways: dict[str, Fresh] = {f"+kv:{scheme}": lambda scheme=scheme: cache_of(store_of(scheme)) for scheme in SCHEMES}
    for bits in (4, 2):
        ways[f"QuantizedCache, quanto, {bits} bits"] = lambda bits=bits: QuantizedCache("quanto", config, nbits=bits)
    ways["QuantizedCache, fp8"] = lambda: QuantizedCache("fp8", config)
    whole = [logits(loaded.model, prompt, cache_of(store_of(None))) for prompt in asked[:DEPLOYED]]
    for name, fresh in ways.items():
        apart = [
            divergence(one, logits(loaded.model, prompt, fresh()))
            for one, prompt in zip(whole, asked[:DEPLOYED], strict=True)
        ]
        print(f"{name}: mean KL divergence along the answer {sum(apart) / len(apart):.4f}")


def prompts(loaded: LoadedModel) -> list[Prompt]:
    """The questions, each with the number that is the right answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kv.slice.yaml"
        path.write_text(SLICE, encoding="utf-8")
        cases = load_slice(path, builtin_registry()).cases
    requests = [Request(case.messages, 1, recall=(str(case.checks[0].arguments["text"]),)) for case in cases]
    return tokenize(loaded.tokenizer, requests, CONTEXT)[0]


def recalled(loaded: LoadedModel, asked: Sequence[Prompt], scheme: str | None) -> list[float]:
    """The log-probability of each right number, as a run measures it."""
    steps = Decoder(loaded.model, frozenset(), 1 << 30, kv=scheme).run(asked)
    found = {decoded.prompt.digest: decoded.recall[0] for step in steps for decoded in step.finished}
    return [sum(found[prompt.digest].log_probabilities) for prompt in asked]


@torch.inference_mode()
def logits(model: Any, prompt: Prompt, cache: Any) -> torch.Tensor:
    """``(tokens, vocabulary)`` along the right answer: the prompt in one pass, then a token at a time."""
    *text, last = prompt.token_ids
    model(input_ids=torch.tensor([text]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    found = []
    for token in (last, *prompt.asked[0].token_ids[:-1]):
        output = model(input_ids=torch.tensor([[token]]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        found.append(output.logits[0, -1])
    return torch.stack(found)


def divergence(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence of the second from the first, in nats."""
    apart = one.softmax(-1) * (one.log_softmax(-1) - other.log_softmax(-1))
    return float(apart.sum(-1).mean())


if __name__ == "__main__":
    main()
