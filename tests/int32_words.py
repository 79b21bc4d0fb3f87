"""Small numbers in 32-bit words, as GPTQ's and AWQ's formats lay them out: bits in a row, nothing of the product."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The column that stands in each place of a word, from the lowest bits up, in AutoAWQ's ``gemm``."""

Words = NDArray[np.int32]


def words(values: ArrayLike, bits: int) -> Words:
    """Rows of numbers from 0 to 2**bits - 1, each row's first in the lowest bits of its first word."""
    stream = (np.asarray(values)[..., None] >> np.arange(bits) & 1).astype(np.uint8)
    packed = np.packbits(stream.reshape(*stream.shape[:-2], -1), axis=-1, bitorder="little")
    return packed.view("<i4")


def gptq_qweight(levels: ArrayLike, bits: int) -> Words:
    """Levels of each output, ``(outputs, inputs)``, as ``(words, outputs)``: packed along the inputs."""
    return words(levels, bits).T


def gptq_qzeros(zeros: ArrayLike, bits: int, *, less: int) -> Words:
    """Zeros of each group, ``(groups, outputs)``, as ``(groups, words)``: packed along the outputs.

    The layout ``gptq`` stores each less one (``less`` 1), ``gptq_v2`` as it is (``less`` 0).
    """
    return words((np.asarray(zeros) - less) % 2**bits, bits)


def awq_columns(rows: ArrayLike) -> Words:
    """Rows of 4-bit numbers, ``(rows, outputs)``, as ``(rows, words)``: eight outputs a word, in AWQ's order."""
    numbers = np.asarray(rows)
    return words(numbers.reshape(len(numbers), -1, 8)[:, :, list(AWQ_ORDER)].reshape(numbers.shape), 4)
