"""Weights rounded to nearest in the K types of GGUF files, whose blocks the library reads and does not write.

The layouts are ggml's. A block is 256 weights in groups, each group with a scale of few bits, in units that the block
holds in half precision. What llama.cpp does besides, a search for scales that lose less, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from gguf import QK_K
from gguf import GGMLQuantizationType as Kind

Parts = list[np.ndarray]
"""The fields of blocks in their order, each ``(blocks, bytes)``."""


def quantize_k(values: np.ndarray, kind: Kind) -> np.ndarray:
    """The blocks of a matrix, ``(rows, bytes)``.

    Args:
        values: ``(rows, columns)`` in float32: columns a multiple of 256, and no group of them nearly constant beside
            others of its block.
        kind: One of ``K_TYPES``.
    """
    parts = _ENCODERS[kind](values.reshape(-1, QK_K))
    return np.concatenate(parts, axis=1).reshape(len(values), -1)


def _q6_k(blocks: np.ndarray) -> Parts:
    levels, scales, unit = _around_zero(blocks, bits=6, most=127)
    return [_packed(levels & 15, 4, 64), _packed(levels >> 4, 2, 32), scales.view(np.uint8), unit]


def _q5_k(blocks: np.ndarray) -> Parts:
    levels, scales, leasts, units = _from_the_least(blocks, 32, bits=5, most=63)
    return [*units, _in_six_bits(scales, leasts), _packed(levels >> 4, 1, 32), _packed(levels & 15, 4, 32)]


def _q4_k(blocks: np.ndarray) -> Parts:
    levels, scales, leasts, units = _from_the_least(blocks, 32, bits=4, most=63)
    return [*units, _in_six_bits(scales, leasts), _packed(levels, 4, 32)]


def _q3_k(blocks: np.ndarray) -> Parts:
    levels, scales, unit = _around_zero(blocks, bits=3, most=31)
    stored = (scales + 32).astype(np.uint8)
    low, high = _packed(levels & 3, 2, 32), _packed(levels >> 2, 1, 32)
    return [high, low, _packed(stored & 15, 4, 8), _packed(stored >> 4, 2, 4), unit]


def _q2_k(blocks: np.ndarray) -> Parts:
    levels, scales, leasts, units = _from_the_least(blocks, 16, bits=2, most=15)
    return [scales | (leasts << 4), _packed(levels, 2, 32), *units]


_ENCODERS: Final[dict[Kind, Callable[[np.ndarray], Parts]]] = {
    Kind.Q6_K: _q6_k,
    Kind.Q5_K: _q5_k,
    Kind.Q4_K: _q4_k,
    Kind.Q3_K: _q3_k,
    Kind.Q2_K: _q2_k,
}
K_TYPES: Final = tuple(_ENCODERS)


def _around_zero(blocks: np.ndarray, *, bits: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of 16 whose largest weight, of either sign, is the lowest level: levels, scales and the unit of scales."""
    groups = blocks.reshape(len(blocks), -1, 16)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(-1, keepdims=True), -1)[..., 0]
    half = 2 ** (bits - 1)
    scales, unit = _in_units(-largest / half, most)
    levels = np.rint(groups / (scales * unit)[..., None]).clip(-half, half - 1) + half
    return levels.reshape(blocks.shape).astype(np.uint8), scales.astype(np.int8), unit.view(np.uint8)


def _from_the_least(
    blocks: np.ndarray, length: int, *, bits: int, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Parts]:
    """Groups whose lowest level is their least weight, or 0: levels, scales, least weights, and the units of both."""
    groups = blocks.reshape(len(blocks), -1, length)
    least = np.minimum(groups.min(-1), 0)
    top = 2**bits - 1
    scales, unit = _in_units((groups.max(-1) - least) / top, most)
    leasts, unit_of_least = _in_units(-least, most)
    levels = np.rint((groups + (leasts * unit_of_least)[..., None]) / (scales * unit)[..., None]).clip(0, top)
    return (
        levels.reshape(blocks.shape).astype(np.uint8),
        scales.astype(np.uint8),
        leasts.astype(np.uint8),
        [unit.view(np.uint8), unit_of_least.view(np.uint8)],
    )


def _in_units(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """A number for each group as a whole multiple, ``most`` at most, of a unit in half precision for each block."""
    unit = (np.abs(values).max(-1, keepdims=True) / most).astype(np.float16)
    return np.rint(values / unit), unit


def _packed(numbers: np.ndarray, bits: int, apart: int) -> np.ndarray:
    """Numbers of few bits, as bytes filled from their lowest bits with numbers that stand so far apart."""
    fields = numbers.reshape(len(numbers), -1, 8 // bits, apart)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    packed: np.ndarray = np.bitwise_or.reduce(fields << shifts, axis=2)
    return packed.reshape(len(numbers), -1)


def _in_six_bits(scales: np.ndarray, leasts: np.ndarray) -> np.ndarray:
    """Eight and eight numbers in twelve bytes: four of each, whose spare bits hold the upper two of four others."""
    return np.concatenate(
        [
            scales[:, :4] | ((scales[:, 4:] >> 4) << 6),
            leasts[:, :4] | ((leasts[:, 4:] >> 4) << 6),
            (scales[:, 4:] & 15) | ((leasts[:, 4:] & 15) << 4),
        ],
        axis=1,
    )
