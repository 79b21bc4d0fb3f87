"""How alike activations are: of one case by direction, over cases by CKA. Imports torch: import it only to diagnose."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

FEWEST: Final = 4
"""Cases that the estimate of CKA needs to be defined."""

_ROUNDING: Final = 1e-5
"""Relative size of what float32 leaves of differences that should be zero."""


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the angle between vectors, a.b / (|a| |b|) (Zhou et al., section 4.1.2 and appendix B.2).

    Args:
        a: ``(..., d)``.
        b: Of the same shape.

    Returns:
        ``(...,)``; NaN where one is zero, and has no direction.
    """
    a, b = a.float(), b.float()
    lengths: Tensor = torch.linalg.vector_norm(a, dim=-1) * torch.linalg.vector_norm(b, dim=-1)
    return ((a * b).sum(dim=-1) / lengths).clamp(-1, 1)


def centered(x: Tensor) -> Tensor:
    """Activations less their mean over cases, ``(..., n, d)`` in float32; exactly zero where all cases are equal."""
    x = x.float()
    x = x - x[..., :1, :]  # of equal rows nothing is left that a mean could round
    return x - x.mean(dim=-2, keepdim=True)


def linear_cka(x: Tensor, y: Tensor) -> Tensor:
    """Linear centered kernel alignment of two sets of activations of the same cases, corrected for their number.

    CKA(K, L) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of the Gram matrices K = X X' and L = Y Y' (Kornblith et al.,
    *Similarity of neural network representations revisited*, 2019). It does not see rotations, shifts and scale.

    HSIC is the unbiased estimate of Song et al. (*Feature selection via dependence maximization*, 2012), put into CKA
    by Nguyen et al. (*Do wide and deep networks learn the same things?*, 2021). The usual, biased one counts each
    case's likeness to itself: with fewer cases than dimensions, as always here, activations that have nothing to do
    with each other score nearly 1 (about d / (d + n) for n cases of d independent numbers: 0.94 for 40 of 576), and a
    collapse would pass for an intact model. This one is 0 in the mean over such activations, and strays from it by
    about 1 / sqrt(n (n - 3) / 2), so that it may be slightly negative.

    Computed as the cosine of the U-centered Gram matrices, to which the formula comes down (Székely and Rizzo, *Partial
    distance correlation with methods for dissimilarities*, 2014). They are of cases by cases, however wide a layer is.

    Args:
        x: ``(..., n, d1)``, at least ``FEWEST`` cases.
        y: ``(..., n, d2)``.

    Returns:
        ``(...,)``; NaN where all cases are alike, or all equally unlike: there is nothing to align.

    Raises:
        ValueError: There are fewer cases.
    """
    return (_kernel(x) * _kernel(y)).sum(dim=-1).clamp(-1, 1)


def cka_grid(xs: Tensor, ys: Tensor) -> Tensor:
    """Linear CKA of every layer of one model with every layer of another (Zhou et al., section 4.2.1).

    Args:
        xs: ``(layers, n, d)``.
        ys: ``(other layers, n, d)``.

    Returns:
        ``(layers, other layers)``, as ``linear_cka`` of each pair.

    Raises:
        ValueError: There are fewer than ``FEWEST`` cases.
    """
    return (_kernel(xs) @ _kernel(ys).mT).clamp(-1, 1)


def _kernel(x: Tensor) -> Tensor:
    """The U-centered Gram matrix, flat and of length 1: ``(..., n * n)``; NaN where nothing but rounding is left."""
    n = x.shape[-2]
    if n < FEWEST:
        msg = f"CKA needs at least {FEWEST} cases, not {n}"
        raise ValueError(msg)
    x = centered(x)
    gram = x @ x.mT
    itself = torch.eye(n, dtype=torch.bool, device=x.device)
    others = gram.masked_fill(itself, 0)
    rows = others.sum(dim=-1) / (n - 2)
    whole = rows.sum(dim=-1) / (n - 1)
    kernel = others - rows[..., None, :] - rows[..., None] + whole[..., None, None]
    kernel = kernel.masked_fill(itself, 0).flatten(-2)
    length = torch.linalg.vector_norm(kernel, dim=-1, keepdim=True)
    size = torch.linalg.vector_norm(gram.flatten(-2), dim=-1, keepdim=True)
    return torch.where(length > _ROUNDING * size, kernel / length, torch.nan)
