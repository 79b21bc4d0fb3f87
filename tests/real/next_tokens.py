"""What variants of the embedded SmolLM2-135M-Instruct expect at each place of a text, and how far apart they are."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

TEXT = (
    "A lighthouse is a tower that carries a lamp, and it is built where ships need to know how far they are from rocks "
    "or from the mouth of a harbour. Today most of them are automatic: a sensor switches the lamp on at dusk, and a "
    "second lamp moves into place when the first one fails. Question: why are the towers painted in stripes? Answer: "
)


def load(spec: str, model: str = "smollm2") -> LoadedModel:
    """A variant of the embedded model, or of one that was made of it, on the CPU."""
    return load_variant(prepare_variant(spec, resolve_model(model, note=lambda _: None), device="cpu"))


def tokens_of(tokenizer: Any, text: str = TEXT) -> torch.Tensor:
    """The text in tokens, ``(1, length)``."""
    tokens: torch.Tensor = tokenizer(text, return_tensors="pt")["input_ids"]
    return tokens


def distributions(loaded: LoadedModel, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the next token at each position, ``(length, vocabulary)``."""
    network: Any = loaded.model
    with torch.inference_mode():
        found: torch.Tensor = network(tokens).logits[0].log_softmax(-1)
    return found


def divergence(found: torch.Tensor, reference: torch.Tensor) -> float:
    """Mean Kullback-Leibler divergence of distributions from those of a reference, in nats a token."""
    return float(functional.kl_div(found, reference, log_target=True, reduction="batchmean"))
