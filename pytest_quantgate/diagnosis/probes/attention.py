"""Whether heads still look, and where. Imports torch: import it only to diagnose."""

from __future__ import annotations

import torch
from torch import Tensor


def normalized_entropy(rows: Tensor, positions: int | Tensor) -> Tensor:
    """Entropy of attention over that of even attention: 0 looks at one position, 1 at all alike.

    H(a) / ln t with H(a) = -sum_i a_i ln a_i over the t positions that a query can see (Zhou et al., section 4.1.1).
    With a sliding window t still counts all positions up to the query's own, so that its heads stay below 1.

    Args:
        rows: Probabilities, ``(..., T)``, zeros behind the first t.
        positions: t, one for all rows, or ``(...,)`` or what broadcasts to it.

    Returns:
        ``(...,)``; NaN where one position is all there is.
    """
    seen = torch.as_tensor(positions, device=rows.device)
    entropy = torch.special.entr(rows.float()).sum(dim=-1)
    return torch.where(seen > 1, (entropy / seen.log()).clamp(max=1), torch.nan)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence in bits: 0 between equal distributions, 1 between those with nothing in common.

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2 and logarithms to base 2 (Lin, *Divergence measures based on the
    Shannon entropy*, 1991; Zhou et al., section 4.1.1).

    Args:
        p: Probabilities, ``(..., T)``.
        q: Of the same shape.

    Returns:
        ``(...,)``.
    """
    p, q = p.float(), q.float()
    return ((_to_mean(p, q) + _to_mean(q, p)) / 2).clamp(0, 1)


def _to_mean(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || (p + q) / 2), to which what p never does adds nothing."""
    return torch.where(p == 0, 0, p * (2 * p / (p + q)).log2()).sum(dim=-1)
