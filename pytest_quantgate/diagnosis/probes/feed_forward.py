"""Whether the same neurons answer: feed-forward layers as memories. Imports torch: import it only to diagnose.

Geva et al., *Transformer feed-forward layers are key-value memories* (2021): the intermediate activation selects
neurons, whose values are then added up.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

TOP: Final = 0.01
"""Share of the neurons that are looked at (Zhou et al., section 4.1.2)."""


def sign_flips(gate: Tensor, other: Tensor) -> Tensor:
    """Share of gates that are open on one side and closed on the other.

    mean_j [(g_j > 0) != (g'_j > 0)] of the gate's values before its activation function (Zhou et al., section 4.1.2).
    A gate of exactly 0 lets nothing through and is closed. Unrelated gates, open half the time, give 1/2.

    Args:
        gate: ``(..., neurons)``.
        other: Of the same shape.

    Returns:
        ``(...,)``.
    """
    return ((gate > 0) != (other > 0)).float().mean(dim=-1)


def top_overlap(neurons: Tensor, other: Tensor, share: float = TOP) -> Tensor:
    """Jaccard index of the most activated neurons of both sides.

    |A & B| / |A | B|, A and B being the share of neurons (at least one) with the largest absolute activations
    (Zhou et al., section 4.1.2). Those that tie with the last of them belong to them, and silent ones never do, so that
    nothing depends on the order of neurons. Unrelated activations give about share / 2.

    Args:
        neurons: What the down projection reads, ``(..., neurons)``.
        other: Of the same shape.
        share: Of all neurons.

    Returns:
        ``(...,)``; NaN where all neurons of both sides are silent.
    """
    ours, theirs = _top(neurons, share), _top(other, share)
    return (ours & theirs).sum(dim=-1) / (ours | theirs).sum(dim=-1)


def _top(neurons: Tensor, share: float) -> Tensor:
    sizes = neurons.abs()
    least = sizes.topk(max(1, round(share * sizes.shape[-1])), dim=-1).values[..., -1:]
    return (sizes >= least) & (sizes > 0)
