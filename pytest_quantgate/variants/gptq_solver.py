"""GPTQ: rounds a layer's weights one input after the other, and lets those still unrounded make up for the error.

Frantar et al. 2022, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers"
(arXiv:2210.17323), section 3.3 and algorithm 1. The scales of groups are those of the weights as they were, not of what
is left of them when their turn comes: the errors of earlier columns widen the grid, and more is lost on nearly all real
layers, most at 2 bits. Imports torch: import it only to load.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

DAMPING = 0.01
"""Share of the mean diagonal that is added to the Hessian's, as in the paper's section 3.3."""

_BLOCK = 128  # columns whose effect on all later ones is applied at once
_HARDER = 10  # times more damping, where rounding has left the Hessian without a Cholesky factor
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Solution:
    """A layer's weights on their grid.

    Attributes:
        levels: ``(outputs, inputs)`` in uint8, from 0 to 2**bits - 1.
        scales: ``(outputs, groups)`` in float16.
        zero: The level that stands for 0, the same everywhere: the grid is symmetric, as deployed kernels want it.
        group: Inputs that share a scale; the last group may have fewer.
    """

    levels: torch.Tensor
    scales: torch.Tensor
    zero: int
    group: int

    @property
    def weight(self) -> torch.Tensor:
        """What it stands for, ``(outputs, inputs)`` in float32."""
        of = torch.arange(self.levels.shape[1], device=self.levels.device) // self.group
        return (self.levels.float() - self.zero) * self.scales.float()[:, of]


class Hessian:
    """Collects the second moments of a layer's inputs.

    Args:
        inputs: The layer's.
        device: Where they are collected.
    """

    def __init__(self, inputs: int, device: torch.device) -> None:
        self.sum = torch.zeros(inputs, inputs, dtype=torch.float32, device=device)
        self.count = 0

    def add(self, batch: torch.Tensor) -> None:
        """Takes note of what the layer was given, ``(..., inputs)``."""
        rows = batch.reshape(-1, batch.shape[-1]).float()
        self.sum.addmm_(rows.T, rows)
        self.count += rows.shape[0]

    @property
    def mean(self) -> torch.Tensor:
        """``(inputs, inputs)``: the Hessian of the squared error of one output, but for a factor."""
        return self.sum / max(1, self.count)


def solve(weight: torch.Tensor, hessian: torch.Tensor, bits: int, group: int | None) -> Solution:
    """Rounds a layer.

    Args:
        weight: ``(outputs, inputs)``.
        hessian: ``(inputs, inputs)``; the mean of x xᵀ over the layer's inputs x.
        bits: From 2 to 8.
        group: Inputs that share a scale; None for all.

    Raises:
        ValueError: The Hessian holds what is no number, or is not one of inputs.
    """
    left = weight.float().clone()
    inputs = left.shape[1]
    width = group or inputs
    factor = _factor(hessian)
    zero = 1 << (bits - 1)
    top = (1 << bits) - 1
    levels = torch.empty(left.shape, dtype=torch.uint8, device=left.device)
    scales = []
    for start in range(0, inputs, width):
        end = min(start + width, inputs)
        # the largest weight of a group stands on the grid's longer side
        largest = weight[:, start:end].float().abs().amax(dim=1)
        scale = (2 * largest / top).half().clamp_min(torch.finfo(torch.float16).tiny)
        scales.append(scale)
        for first in range(start, end, _BLOCK):
            _round_block(left, levels, factor, (first, min(first + _BLOCK, end)), (scale.float(), zero, top))
    return Solution(levels, torch.stack(scales, dim=1), zero, width)


def _round_block(
    left: torch.Tensor,
    levels: torch.Tensor,
    factor: torch.Tensor,
    columns: tuple[int, int],
    grid: tuple[torch.Tensor, int, int],
) -> None:
    """Rounds some columns in turn, each error being spread over the later ones."""
    first, last = columns
    scale, zero, top = grid
    block = left[:, first:last]  # a view
    errors = torch.empty_like(block)
    for column in range(last - first):
        row = factor[first + column, first + column : last]
        level = (block[:, column] / scale).round().add_(zero).clamp_(0, top)
        levels[:, first + column] = level.to(torch.uint8)
        error = (block[:, column] - (level - zero) * scale) / row[0]
        errors[:, column] = error
        block[:, column + 1 :].addr_(error, row[1:], alpha=-1)
    left[:, last:].addmm_(errors, factor[first:last, last:], alpha=-1)


def _factor(hessian: torch.Tensor) -> torch.Tensor:
    """The upper Cholesky factor of the damped Hessian's inverse."""
    mean = hessian.diagonal().mean()
    if not torch.isfinite(mean):
        msg = "the calibration gave activations that are not finite numbers"
        raise ValueError(msg)
    damping = DAMPING
    for _ in range(_TRIES):
        damped = hessian.float().clone()
        # an input that was never seen has nothing to be made up for: it is rounded to nearest
        damped.diagonal().add_(damping * mean if mean > 0 else 1.0)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            upper: torch.Tensor
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed and bool(torch.isfinite(upper).all()):
                return upper
        damping *= _HARDER
    msg = "the calibration's activations have no usable second moments"
    raise ValueError(msg)
