"""Small numbers in 32-bit words, as GPTQ's and AWQ's formats lay them out: plain integers, nothing of the product."""

from __future__ import annotations

import struct
from collections.abc import Sequence

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The column that stands in each place of a word, from the lowest bits up, in AutoAWQ's ``gemm``."""

Rows = Sequence[Sequence[int]]


def words(values: Sequence[int], bits: int) -> list[int]:
    """Numbers from 0 to 2**bits - 1, the first in the lowest bits of the first word, as words with a sign."""
    whole = sum(value << place * bits for place, value in enumerate(values))
    count, left = divmod(len(values) * bits, 32)
    assert left == 0, f"{len(values)} numbers of {bits} bits do not fill whole words"
    return list(struct.unpack(f"<{count}i", whole.to_bytes(4 * count, "little")))


def gptq_qweight(levels: Rows, bits: int) -> list[list[int]]:
    """Levels of each output, ``(outputs, inputs)``, as ``(words, outputs)``: packed along the inputs."""
    columns = [words(output, bits) for output in levels]
    return [list(row) for row in zip(*columns, strict=True)]


def gptq_qzeros(zeros: Rows, bits: int, *, less: int) -> list[list[int]]:
    """Zeros of each group, ``(groups, outputs)``, as ``(groups, words)``: packed along the outputs.

    The layout ``gptq`` stores each less one (``less`` 1), ``gptq_v2`` as it is (``less`` 0).
    """
    return [words([(zero - less) % 2**bits for zero in group], bits) for group in zeros]


def awq_columns(rows: Rows) -> list[list[int]]:
    """Rows of 4-bit numbers, ``(rows, outputs)``, as ``(rows, words)``: eight outputs a word, in AWQ's order."""
    return [words([row[first + column] for first in range(0, len(row), 8) for column in AWQ_ORDER], 4) for row in rows]
