"""Where a token stands among all that a model could say. Imports torch: import it only to run models."""

from __future__ import annotations

from math import inf

import torch


def standing(logits: torch.Tensor, token: int) -> torch.Tensor:
    """The place of a token, from 1; those that tie share the mean of their places.

    Exact ties are usual in half precision, and which of the tokens is taken then may depend on what is computed beside
    it. So a tie for the first place is 1.5: worse than being first alone, and better than being second.

    Args:
        logits: ``(..., vocabulary)``.
        token: Which one.

    Returns:
        ``(...,)`` in float32; infinity where the greatest logit is no finite number.
    """
    own = logits[..., token, None]
    above, level = (logits > own).sum(dim=-1), (logits == own).sum(dim=-1)
    return (above + (level + 1) / 2).masked_fill(~logits.amax(dim=-1).isfinite(), inf)
