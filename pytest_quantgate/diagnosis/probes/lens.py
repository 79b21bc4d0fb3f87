"""What logits say of one token, at a model's end or read off a layer. Imports torch: import it only to diagnose."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TargetStatistics(NamedTuple):
    """Each ``(...,)`` in float32; NaN where the greatest logit is no finite number.

    Attributes:
        probability: Of the token.
        rank: Its place among all tokens, from 1; it stands behind all that tie with it.
        entropy: Of the whole distribution, in nats.
        log_probability: Of the token, in nats.
    """

    probability: Tensor
    rank: Tensor
    entropy: Tensor
    log_probability: Tensor


def target_statistics(logits: Tensor, target: int) -> TargetStatistics:
    """Probability, rank, entropy and log-probability by the softmax p of some logits.

    p_target, #{v: logit_v >= logit_target}, -sum_v p_v ln p_v and ln p_target. Ties are counted as
    ``generation.recall`` counts them: flat logits know nothing. On the states between the layers this is the logit
    lens (nostalgebraist, *Interpreting GPT: the logit lens*, 2020; Zhou et al., section 3.3).

    Args:
        logits: ``(..., vocabulary)``.
        target: The token.
    """
    logits = logits.float()
    log_probabilities = logits.log_softmax(dim=-1)
    probabilities = log_probabilities.exp()
    own = log_probabilities[..., target]
    rank = (logits >= logits[..., target, None]).sum(dim=-1).float()
    return TargetStatistics(
        probability=probabilities[..., target],
        rank=torch.where(own.isnan(), own, rank),
        entropy=torch.special.entr(probabilities).sum(dim=-1),
        log_probability=own,
    )
