from __future__ import annotations

import pytest
import torch

from pytest_quantgate.variants.packed import pack, pack_gptq, unpack, unpack_awq, unpack_gptq

WIDTHS = [2, 3, 4, 5, 6, 7, 8]


def levels_of(rows: int, columns: int, bits: int) -> torch.Tensor:
    return torch.randint(0, 2**bits, (rows, columns), generator=torch.Generator().manual_seed(bits), dtype=torch.uint8)


@pytest.mark.parametrize("bits", WIDTHS)
def test_what_is_packed_is_unpacked(bits: int) -> None:
    levels = levels_of(64, 5, bits)
    packed = pack(levels, bits)
    assert (packed.dtype, packed.shape) == (torch.int32, (64 * bits // 32, 5))
    assert torch.equal(unpack(packed, bits), levels)


def test_words_are_filled_from_their_lowest_bits() -> None:
    assert pack(torch.arange(8).reshape(8, 1), 4).item() == 0x76543210
    # the eleventh weight of three bits begins in the first word and ends in the second
    three = torch.zeros(32, 1)
    three[10] = 0b110
    assert pack(three, 3).flatten().tolist() == [-0x80000000, 1, 0]


@pytest.mark.parametrize(
    ("values", "bits"),
    [(torch.zeros(7, 1), 4), (torch.zeros(33, 1), 3), (torch.zeros(8, 1), 9), (torch.zeros(8, 1), 0)],
)
def test_weights_that_do_not_fill_words_are_refused(values: torch.Tensor, bits: int) -> None:
    with pytest.raises(ValueError, match=r"do not fill|cannot be packed"):
        pack(values, bits)


@pytest.mark.parametrize("words", [torch.zeros(2, 1, dtype=torch.int32), torch.zeros(3, 1), torch.zeros(3)])
def test_words_that_hold_no_whole_weights_are_refused(words: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="do not hold weights of 3 bits"):
        unpack(words, 3)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_gptq_weight_is_its_level_less_zero_times_scale(bits: int, offset: int) -> None:
    levels, zeros = levels_of(32, 64, bits), levels_of(32, 2, bits).clamp_min(1)
    scales = torch.rand(2, 32).half()
    groups = torch.arange(64) % 2  # act-order checkpoints mix them
    qweight, qzeros = pack_gptq(levels, zeros, bits, zero_offset=offset)
    weight = unpack_gptq(qweight, qzeros, scales, groups.int(), bits, zero_offset=offset)
    expected = (levels.float() - zeros[:, groups].float()) * scales.T[:, groups].float()
    assert torch.equal(weight, expected)


def test_groups_in_order_need_no_index() -> None:
    levels, zeros, scales = levels_of(32, 64, 4), levels_of(32, 4, 4).clamp_min(1), torch.rand(4, 32).half()
    qweight, qzeros = pack_gptq(levels, zeros, 4, zero_offset=1)
    index = torch.arange(64) // 16
    with_index = unpack_gptq(qweight, qzeros, scales, index, 4, zero_offset=1)
    assert torch.equal(unpack_gptq(qweight, qzeros, scales, None, 4, zero_offset=1), with_index)


def test_an_awq_word_holds_its_eight_columns_in_awq_s_order() -> None:
    # what AutoAWQ's gemm packing writes for the columns 0 to 7
    word = torch.tensor([[0x75316420]], dtype=torch.int32)
    zero = torch.zeros(1, 1, dtype=torch.int32)
    weight = unpack_awq(word, zero, torch.ones(1, 8).half())
    assert weight.flatten().tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_an_awq_weight_is_its_level_less_zero_times_the_scale_of_its_group() -> None:
    ones = torch.full((4, 1), 0x11111111, dtype=torch.int32)
    zeros = torch.tensor([[0], [0x33333333]], dtype=torch.int32)
    scales = torch.tensor([[0.5], [2.0]]).expand(2, 8).half()
    assert unpack_awq(ones, zeros, scales)[0].tolist() == [0.5, 0.5, -4, -4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": torch.ones(2, 16).half()}, "do not belong together"),
        ({"scales": torch.ones(2, 32, dtype=torch.int8)}, "do not belong together"),
        ({"g_idx": torch.arange(63) // 32}, "does not name a group for each"),
        ({"g_idx": torch.arange(64)}, "groups that are not among the 2"),
        ({"g_idx": torch.arange(64) - 1}, "groups that are not among the 2"),
        ({"qweight": torch.zeros(8, 32, dtype=torch.int64)}, "do not hold weights"),
    ],
)
def test_tensors_that_do_not_belong_together_are_one_clear_error(change: dict[str, torch.Tensor], message: str) -> None:
    qweight, qzeros = pack_gptq(levels_of(32, 64, 4), levels_of(32, 2, 4), 4, zero_offset=1)
    tensors = {
        "qweight": qweight,
        "qzeros": qzeros,
        "scales": torch.ones(2, 32).half(),
        "g_idx": torch.arange(64) // 32,
    }
    with pytest.raises(ValueError, match=message):
        unpack_gptq(**{**tensors, **change}, bits=4, zero_offset=1)


def test_groups_that_cannot_be_cut_need_an_index() -> None:
    qweight, qzeros = pack_gptq(levels_of(32, 64, 4), levels_of(32, 3, 4), 4, zero_offset=1)
    with pytest.raises(ValueError, match="64 inputs cannot be cut into 3 groups"):
        unpack_gptq(qweight, qzeros, torch.ones(3, 32).half(), None, 4, zero_offset=1)


def test_awq_has_four_bits_only() -> None:
    with pytest.raises(ValueError, match="4 bits, and not 8"):
        unpack_awq(torch.zeros(1, 1, dtype=torch.int32), torch.zeros(1, 1, dtype=torch.int32), torch.ones(1, 4), 8)
