"""GPTQ and AWQ tensors whose words are worked out by hand from their formats, and not by the product's own packing."""

from __future__ import annotations

import pytest
import torch

from pytest_quantgate.variants.packed import unpack_awq, unpack_gptq
from tests.int32_words import Words, awq_columns, gptq_qweight, gptq_qzeros, words

OUTPUTS, INPUTS, GROUPS = 32, 64, 2
SCALES = [[(1 + output + group) / 64 for output in range(OUTPUTS)] for group in range(GROUPS)]  # exact in half
IN_ORDER = [column // 32 for column in range(INPUTS)]
ACT_ORDER = [column * 37 % INPUTS // 32 for column in range(INPUTS)]  # by how strong the inputs are: mixed


def int32(values: Words) -> torch.Tensor:
    return torch.from_numpy(values.copy())


def signed(word: int) -> int:
    """A word as int32 holds it."""
    return word - 2**32 if word >= 2**31 else word


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [
        (4, [0, 1, 2, 3, 4, 5, 6, 7], [0x76543210]),
        (4, [8, 9, 10, 11, 12, 13, 14, 15], [0xFEDCBA98]),
        (8, [1, 2, 3, 4, 250, 251, 252, 253], [0x04030201, 0xFDFCFBFA]),
        (2, [0, 1, 2, 3] * 4, [0xE4E4E4E4]),
        # the numbers 0 to 7 are 24 bits, 0xFAC688, four times in 96 bits
        (3, [0, 1, 2, 3, 4, 5, 6, 7] * 4, [0x88FAC688, 0xC688FAC6, 0xFAC688FA]),
    ],
)
def test_the_words_are_those_of_the_format(bits: int, values: list[int], expected: list[int]) -> None:
    assert words(values, bits).tolist() == [signed(word) for word in expected]


def test_three_words_hold_32_numbers_of_three_bits() -> None:
    """As AutoGPTQ places them: ten, two bits of the eleventh; its third, ten, one bit of the next; its rest, ten."""
    values = [place * 5 % 8 for place in range(32)]
    first = sum(value << 3 * place for place, value in enumerate(values[:10])) | (values[10] & 3) << 30
    second = values[10] >> 2 | sum(value << 3 * place + 1 for place, value in enumerate(values[11:21]))
    second |= (values[21] & 1) << 31
    third = values[21] >> 1 | sum(value << 3 * place + 2 for place, value in enumerate(values[22:]))
    assert words(values, 3).tolist() == [signed(word) for word in (first, second, third)]


@pytest.mark.parametrize("g_idx", [None, IN_ORDER, ACT_ORDER], ids=["no-index", "in-order", "act-order"])
@pytest.mark.parametrize("less", [1, 0], ids=["gptq", "gptq_v2"])
@pytest.mark.parametrize("bits", [4, 8, 2, 3])
def test_each_weight_of_a_gptq_layer_is_its_number_less_zero_times_scale(
    bits: int, less: int, g_idx: list[int] | None
) -> None:
    most = 2**bits - 1
    levels = [[(7 * output + 3 * column) % (most + 1) for column in range(INPUTS)] for output in range(OUTPUTS)]
    zeros = [[1 + (output + group) % most for output in range(OUTPUTS)] for group in range(GROUPS)]
    weight = unpack_gptq(
        int32(gptq_qweight(levels, bits)),
        int32(gptq_qzeros(zeros, bits, less=less)),
        torch.tensor(SCALES).half(),
        None if g_idx is None else torch.tensor(g_idx, dtype=torch.int32),
        bits,
        zero_offset=less,
    )
    groups = g_idx or IN_ORDER
    assert weight.tolist() == [
        [
            (levels[output][column] - zeros[groups[column]][output]) * SCALES[groups[column]][output]
            for column in range(INPUTS)
        ]
        for output in range(OUTPUTS)
    ]


def test_each_weight_of_an_awq_layer_is_its_number_less_zero_times_scale() -> None:
    levels = [[(5 * column + 3 * output) % 16 for output in range(OUTPUTS)] for column in range(INPUTS)]
    zeros = [[(output + 9 * group) % 16 for output in range(OUTPUTS)] for group in range(GROUPS)]
    weight = unpack_awq(int32(awq_columns(levels)), int32(awq_columns(zeros)), torch.tensor(SCALES).half())
    assert weight.tolist() == [
        [
            (levels[column][output] - zeros[IN_ORDER[column]][output]) * SCALES[IN_ORDER[column]][output]
            for column in range(INPUTS)
        ]
        for output in range(OUTPUTS)
    ]


def test_eight_outputs_of_an_awq_word_stand_in_awq_s_order() -> None:
    # from the lowest bits up: the outputs 0, 2, 4, 6, 1, 3, 5, 7
    assert awq_columns([[0, 1, 2, 3, 4, 5, 6, 7]]).tolist() == [[0x75316420]]
    assert awq_columns([[15, 0, 0, 0, 0, 0, 0, 8]]).tolist() == [[signed(0x8000000F)]]
