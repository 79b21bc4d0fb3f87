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
    found: dict[tuple[int, int], Recall] = {}
    for row, asked, logits in forced(model, batch, prefilled, tokens, store):
        key = row, id(asked)
        found[key] = _further(found.get(key, Recall(asked.text)), asked, logits)
    return [
        tuple(found.get((row, id(asked))) or Recall(asked.text, problem=asked.problem) for asked in item.prompt.asked)
        for row, item in enumerate(batch)
    ]


def _further(before: Recall, asked: Asked, logits: torch.Tensor) -> Recall:
    """What was measured of a text, and rank, ties and log-probability of its next tokens.

    Args:
        before: Of its tokens so far.
        asked: The text.
        logits: ``(tokens, vocabulary)``, of the next ones.
    """
    if before.problem is not None or not isfinite(float(logits.max())):
        return Recall(asked.text, problem="the logits were not finite numbers")
    begin = len(before.token_ids)
    token_ids = asked.token_ids[begin : begin + len(logits)]
    own = logits.gather(1, torch.tensor(token_ids, device=logits.device)[:, None])
    log_probabilities = (own[:, 0] - logits.logsumexp(dim=-1)).tolist()
    return Recall(
        text=asked.text,
        token_ids=before.token_ids + token_ids,
        ranks=before.ranks + tuple((logits >= own).sum(dim=-1).tolist()),
        ties=before.ties + tuple(((logits == own).sum(dim=-1) - 1).tolist()),
        log_probabilities=before.log_probabilities + tuple(round(each, DIGITS) for each in log_probabilities),
    )
