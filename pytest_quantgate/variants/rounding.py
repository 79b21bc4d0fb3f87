"""Rounding to nearest on a uniform grid: the simplest quantizer. Imports torch: import it only to load."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pytest_quantgate.variants.packed import pack, unpack

GROUP = 64
"""Weights that share one scale, along a row."""

_LEAST_STEP = 1e-8
_LEAST_STORED_STEP = 2.0**-24  # the least that float16 holds


@dataclass(frozen=True, slots=True)
class Rounded:
    """A weight as it would be stored: levels, and for each group the size of a step and the least value.

    Attributes:
        levels: Packed into 32-bit words, one weight after another.
        step: ``(groups, 1)`` in float16.
        least: ``(groups, 1)`` in float16.
        bits: Of a level.
        shape: Of the weight.
    """

    levels: torch.Tensor
    step: torch.Tensor
    least: torch.Tensor
    bits: int
    shape: torch.Size

    @property
    def nbytes(self) -> int:
        """Bytes of all three."""
        return self.levels.nbytes + self.step.nbytes + self.least.nbytes

    def weight(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight that is stored, computed in float32."""
        levels = unpack(self.levels, self.bits).reshape(self.step.shape[0], -1)
        return _on_grid(levels.float(), self.step.float(), self.least.float()).reshape(self.shape).to(dtype)


def store_rounded(weight: torch.Tensor, bits: int, group: int) -> Rounded:
    """Rounds a weight to 2**bits evenly spaced levels from the least to the greatest of each group.

    Args:
        weight: Of a linear layer, ``(rows, columns)``.
        bits: From 2 to 8.
        group: Columns of a group, of which a row is a multiple.

    Raises:
        ValueError: A row cannot be cut into groups, or the levels do not fill 32-bit words.
    """
    if weight.shape[-1] % group:
        msg = f"{weight.shape[-1]} columns cannot be cut into groups of {group}"
        raise ValueError(msg)
    groups = weight.float().reshape(-1, group)
    step, least = _grid(groups, bits)
    step, least = step.clamp_min(_LEAST_STORED_STEP).half(), least.half()
    levels = _levels(groups, step.float(), least.float(), bits)
    return Rounded(pack(levels.to(torch.uint8).reshape(-1, 1), bits), step, least, bits, weight.shape)


def round_to_nearest(weight: torch.Tensor, bits: int, group: int = GROUP) -> torch.Tensor:
    """The weight on 2**bits evenly spaced levels, the grid of each group in float32.

    Args:
        weight: Of a linear layer, ``(rows, columns)``; the columns of a row are cut into groups, or are one where they
            cannot be cut evenly.
        bits: At least 1.
        group: Columns of a group.

    Returns:
        The same shape, in float32.
    """
    columns = weight.shape[-1]
    groups = weight.float().reshape(-1, group if columns % group == 0 else columns)
    step, least = _grid(groups, bits)
    return _on_grid(_levels(groups, step, least, bits), step, least).reshape(weight.shape)


def _grid(groups: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Step and least value of each row."""
    least = groups.amin(dim=1, keepdim=True)
    return (groups.amax(dim=1, keepdim=True) - least).clamp_min(_LEAST_STEP) / (2**bits - 1), least


def _levels(groups: torch.Tensor, step: torch.Tensor, least: torch.Tensor, bits: int) -> torch.Tensor:
    return ((groups - least) / step).round().clamp(0, 2**bits - 1)


def _on_grid(levels: torch.Tensor, step: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    return levels * step + least
