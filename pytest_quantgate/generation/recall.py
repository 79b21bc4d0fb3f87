"""How probable given texts are as the beginning of an answer: teacher forcing behind prompts that were just read."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import torch

from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.forced import forced
from pytest_quantgate.generation.kv_quant import Store, as_they_are
from pytest_quantgate.generation.prefill import Prefilled, Waiting
from pytest_quantgate.generation.prompts import Asked

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DIGITS = 4


def measure(
    model: PreTrainedModel, batch: Sequence[Waiting], prefilled: Prefilled, tokens: int, store: Store = as_they_are
) -> list[tuple[Recall, ...]]:
    """Measure every text that the prompts of one prefill ask for.

    Args:
        model: The model that read the prompts.
        batch: The prompts.
        prefilled: What reading them gave.
        tokens: Most positions of one pass, see ``forced``.
        store: How keys and values are stored.

    Returns:
        For each prompt, what was measured of each of its texts, in order.
    """
    found = {
        (row, asked.text): _recall(asked, logits)
        for row, asked, logits in forced(model, batch, prefilled, tokens, store)
    }
    return [
        tuple(found.get((row, asked.text)) or Recall(asked.text, problem=asked.problem) for asked in item.prompt.asked)
        for row, item in enumerate(batch)
    ]


def _recall(asked: Asked, logits: torch.Tensor) -> Recall:
    """Rank, ties and log-probability of each token of one text, from ``(tokens, vocabulary)`` logits."""
    if not isfinite(float(logits.max())):
        return Recall(asked.text, problem="the logits were not finite numbers")
    own = logits.gather(1, torch.tensor(asked.token_ids, device=logits.device)[:, None])
    log_probabilities = (own[:, 0] - logits.logsumexp(dim=-1)).tolist()
    return Recall(
        text=asked.text,
        token_ids=asked.token_ids,
        ranks=tuple((logits >= own).sum(dim=-1).tolist()),
        ties=tuple(((logits == own).sum(dim=-1) - 1).tolist()),
        log_probabilities=tuple(round(each, DIGITS) for each in log_probabilities),
    )
