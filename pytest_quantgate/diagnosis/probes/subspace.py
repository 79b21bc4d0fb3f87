"""Whether activations and their error vary in the same directions. Imports torch: import it only to diagnose.

Principal directions are the right singular vectors of centered activations (one row for each case), as in principal
components analysis. Zhou et al., section 4.2.2, take the singular value decomposition of the activations and do not say
whether they center them. Here they are centered, as for CKA: what all cases have in common tells no case from another,
and where it holds most of the energy, it would be the whole principal subspace.

With few cases two things are to be minded. First, n cases span at most n - 1 directions, the last of which are noise:
k follows from the spectral energy and stays below that, and directions that float32 cannot tell from zero are none.
Second, subspaces that have nothing to do with each other overlap by chance by k / d, d being the width of the layer:
a few hundredths for layers of real models, and nothing that more cases would change, so it is not taken away. Noise
turns the directions of few cases further than those of many; the preserved cases, as many, are the contrast.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pytest_quantgate.diagnosis.probes.similarity import centered


class Spectrum(NamedTuple):
    """Centered activations by their principal directions, the strongest first.

    Attributes:
        values: Singular values, ``(..., r)``.
        directions: Of length 1, ``(..., r, d)``; those that do not exist are zeros.
    """

    values: Tensor
    directions: Tensor


def spectrum_of(x: Tensor) -> Spectrum:
    """Singular values and principal directions of activations ``(..., n, d)``, r being the smaller of n and d."""
    _, values, directions = torch.linalg.svd(centered(x), full_matrices=False)
    rounding = values[..., :1] * max(x.shape[-2:]) * torch.finfo(values.dtype).eps
    exists = values > rounding
    return Spectrum(values * exists, directions * exists[..., None])


def rank_of_energy(values: Tensor, share: float) -> Tensor:
    """How many directions hold a share of the spectral energy, the sum of all s_i^2.

    The least k with sum_{i <= k} s_i^2 >= share sum_i s_i^2. Zhou et al., section 4.2.2, choose k by it, so that the
    long tail, which is noise, stays out; it is the cumulative share of variance by which principal components are
    usually chosen (Jolliffe, *Principal Component Analysis*, 2002, section 6.1.1).

    Args:
        values: Singular values, descending, ``(..., r)``.
        share: Above 0, at most 1.

    Returns:
        ``(...,)`` as integers; 0 where there is no energy.
    """
    energy = values.square().cumsum(dim=-1)
    total = energy[..., -1:]
    return (energy < share * total).sum(dim=-1) + (total[..., 0] > 0)


def subspace_similarity(x: Tensor, y: Tensor, k: int | Tensor) -> Tensor:
    """How much of the first k principal directions of one variant the other's first k hold.

    ||V_x' V_y||_F^2 / k: the mean squared cosine of the principal angles, 1 for the same subspace, 0 for orthogonal
    ones, k / d in the mean for unrelated ones (Zhou et al., section 4.2.2, equation 1). A direction that y lacks, since
    it varies in fewer, is one that both do not have in common.

    Args:
        x: The reference's activations, ``(..., n, d)``.
        y: The candidate's.
        k: One for all, or ``(...,)``.

    Returns:
        ``(...,)``; NaN where k is 0, or x varies in fewer than k directions.
    """
    ours, theirs = _first(spectrum_of(x), k), _first(spectrum_of(y), k)
    complete = _number(ours) == torch.as_tensor(k, device=x.device)
    return torch.where(complete, _overlap(ours, theirs) / _number(ours), torch.nan)


def error_alignment(reference: Tensor, candidate: Tensor, k: int | Tensor) -> Tensor:
    """How far the error lies in the directions that carry the signal.

    ||V_x' V_e||_F^2 / k of the first k principal directions of the reference's activations X and of the error E = Y - X
    (Zhou et al., section 4.2.2). Random noise gives k / d. Activations that vanish give 1, for then the error is the
    signal; those that have nothing to do with the reference's and are as large up to 1/2, and much larger ones k / d
    again. Where the error has fewer than k directions, their number takes the place of k.

    Args:
        reference: Its activations X, ``(..., n, d)``.
        candidate: Its activations Y.
        k: One for all, or ``(...,)``.

    Returns:
        ``(...,)``; NaN where k is 0, or the error is the same for all cases.
    """
    signal = _first(spectrum_of(reference), k)
    error = _first(spectrum_of(candidate.float() - reference.float()), k)
    return _overlap(signal, error) / _number(error)


def _first(spectrum: Spectrum, k: int | Tensor) -> Tensor:
    """The first k directions; the others are zeros."""
    places = torch.arange(spectrum.values.shape[-1], device=spectrum.values.device)
    wanted = places < torch.as_tensor(k, device=places.device)[..., None]
    return spectrum.directions * wanted[..., None]


def _number(directions: Tensor) -> Tensor:
    """How many directions are not zeros."""
    return directions.ne(0).any(dim=-1).sum(dim=-1)


def _overlap(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours @ theirs.mT).square().sum(dim=(-2, -1))
