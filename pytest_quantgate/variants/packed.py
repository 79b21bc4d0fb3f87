"""Weights packed into 32-bit words, as GPTQ and AWQ checkpoints store them. Imports torch: import it only to load.

Both store a weight of ``bits`` bits as ``(q - zero) * scale``, with one zero and one scale a column and group of rows
(inputs), in words that are filled from their lowest bits; where bits do not divide 32, a weight may begin in one word
and end in the next. GPTQ packs weights along the inputs and zeros along the outputs; AWQ packs both along the outputs,
the eight of a word in an order of its own. The layouts are those of AutoGPTQ (``format`` ``gptq`` and ``gptq_v2``) and
AutoAWQ (``version`` ``gemm``).
"""

from __future__ import annotations

from math import gcd

import torch

_WORD = 32
_AWQ_BITS = 4
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # which column stands in each place of a word
_MATRIX = 2
_BYTE = 8


def pack(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Packs small integers along the first dimension.

    Args:
        values: ``(n, columns)``, each from 0 to 2**bits - 1; n * bits must be a multiple of 32.
        bits: From 1 to 8.

    Returns:
        ``(n * bits / 32, columns)`` in int32.

    Raises:
        ValueError: n values do not fill whole words.
    """
    count, columns = values.shape
    each, words = _unit(bits)
    if count % each:
        msg = f"{count} weights of {bits} bits do not fill whole words"
        raise ValueError(msg)
    units = values.to(torch.int64).reshape(-1, each, columns)
    packed = torch.zeros(units.shape[0], words, columns, dtype=torch.int64, device=values.device)
    for place in range(each):
        word, shift = divmod(place * bits, _WORD)
        packed[:, word] |= (units[:, place] << shift) & 0xFFFFFFFF
        if shift + bits > _WORD:
            packed[:, word + 1] |= units[:, place] >> (_WORD - shift)
    signed = torch.where(packed >= 1 << (_WORD - 1), packed - (1 << _WORD), packed)
    return signed.to(torch.int32).reshape(-1, columns)


def unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """What ``pack`` was given, in uint8.

    Args:
        packed: ``(words, columns)`` in int32.
        bits: From 1 to 8.

    Raises:
        ValueError: The words do not end where a weight ends, or are not int32.
    """
    each, words = _unit(bits)
    if packed.dtype != torch.int32 or packed.dim() != _MATRIX or packed.shape[0] % words:
        msg = f"{tuple(packed.shape)} words of {packed.dtype} do not hold weights of {bits} bits"
        raise ValueError(msg)
    units = packed.reshape(-1, words, packed.shape[1])
    values = torch.empty(units.shape[0], each, packed.shape[1], dtype=torch.uint8, device=packed.device)
    for place in range(each):
        word, shift = divmod(place * bits, _WORD)
        here = min(bits, _WORD - shift)
        value = (units[:, word] >> shift) & ((1 << here) - 1)
        if here < bits:
            value |= (units[:, word + 1] & ((1 << (bits - here)) - 1)) << here
        values[:, place] = value.to(torch.uint8)
    return values.reshape(-1, packed.shape[1])


def _unit(bits: int) -> tuple[int, int]:
    """The fewest weights that fill whole words, and these words."""
    if not 1 <= bits <= _BYTE:
        msg = f"weights of {bits} bits cannot be packed"
        raise ValueError(msg)
    common = gcd(bits, _WORD)
    return _WORD // common, bits // common


def pack_gptq(
    levels: torch.Tensor, zeros: torch.Tensor, bits: int, *, zero_offset: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a GPTQ checkpoint calls ``qweight`` and ``qzeros``.

    Args:
        levels: ``(outputs, inputs)``, from 0 to 2**bits - 1.
        zeros: ``(outputs, groups)``, the level that stands for 0.
        bits: From 2 to 8.
        zero_offset: As for ``unpack_gptq``.

    Returns:
        ``(inputs * bits / 32, outputs)`` and ``(groups, outputs * bits / 32)``, in int32.

    Raises:
        ValueError: The shape does not fill whole words.
    """
    stored = (zeros.to(torch.int64) - zero_offset) & ((1 << bits) - 1)
    return pack(levels.T, bits), pack(stored, bits).T.contiguous()


def unpack_gptq(
    qweight: torch.Tensor,
    qzeros: torch.Tensor,
    scales: torch.Tensor,
    g_idx: torch.Tensor | None,
    bits: int,
    *,
    zero_offset: int,
) -> torch.Tensor:
    """The weight that the tensors of a GPTQ checkpoint stand for.

    Args:
        qweight: ``(inputs * bits / 32, outputs)`` in int32.
        qzeros: ``(groups, outputs * bits / 32)`` in int32.
        scales: ``(groups, outputs)``, floating point.
        g_idx: The group of each input, ``(inputs,)``; None where groups are as long and in order.
        bits: From 2 to 8.
        zero_offset: 1 where zeros are stored less one (``gptq``), 0 where they are stored as they are (``gptq_v2``).

    Returns:
        ``(outputs, inputs)`` in float32.

    Raises:
        ValueError: The tensors do not belong together.
    """
    levels = unpack(qweight, bits)
    zeros = unpack(qzeros.T.contiguous(), bits).T.to(torch.int32) + zero_offset
    _check_together(levels, zeros, scales)
    return _spread(levels, zeros, scales, _groups(g_idx, levels.shape[0], scales.shape[0]))


def unpack_awq(
    qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor, bits: int = _AWQ_BITS
) -> torch.Tensor:
    """The weight that the tensors of an AWQ checkpoint (``gemm``) stand for.

    Args:
        qweight: ``(inputs, outputs / 8)`` in int32.
        qzeros: ``(groups, outputs / 8)`` in int32.
        scales: ``(groups, outputs)``, floating point.
        bits: 4, the only one that the layout is known for.

    Returns:
        ``(outputs, inputs)`` in float32.

    Raises:
        ValueError: The tensors do not belong together.
    """
    if bits != _AWQ_BITS:
        msg = f"AWQ weights have {_AWQ_BITS} bits, and not {bits}"
        raise ValueError(msg)
    levels, zeros = _awq_columns(qweight), _awq_columns(qzeros)
    _check_together(levels, zeros, scales)
    return _spread(levels, zeros, scales, _groups(None, levels.shape[0], scales.shape[0]))


def _awq_columns(packed: torch.Tensor) -> torch.Tensor:
    values = unpack(packed.T.contiguous(), _AWQ_BITS).reshape(-1, len(_AWQ_ORDER), packed.shape[0])
    ordered = torch.empty_like(values)
    ordered[:, list(_AWQ_ORDER)] = values
    return ordered.reshape(-1, packed.shape[0]).T


def _check_together(levels: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> None:
    if not scales.is_floating_point() or scales.shape != zeros.shape or scales.shape[-1] != levels.shape[1]:
        msg = (
            f"weights {tuple(levels.shape)}, zeros {tuple(zeros.shape)} and scales {tuple(scales.shape)} of "
            f"{scales.dtype} do not belong together"
        )
        raise ValueError(msg)


def _groups(g_idx: torch.Tensor | None, inputs: int, groups: int) -> torch.Tensor | None:
    """The group of each input; None where groups are as long and in order."""
    if g_idx is None:
        if not groups or inputs % groups:
            msg = f"{inputs} inputs cannot be cut into {groups} groups"
            raise ValueError(msg)
        return None
    if g_idx.shape != (inputs,) or g_idx.is_floating_point():
        msg = f"g_idx {tuple(g_idx.shape)} does not name a group for each of {inputs} inputs"
        raise ValueError(msg)
    if inputs and not 0 <= int(g_idx.min()) <= int(g_idx.max()) < groups:
        msg = f"g_idx names groups that are not among the {groups}"
        raise ValueError(msg)
    return g_idx.long()


def _spread(
    levels: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor, groups: torch.Tensor | None
) -> torch.Tensor:
    """``(q - zero) * scale``, turned to ``(outputs, inputs)``; exact in float32 for scales of half precision."""
    zeros, scales = zeros.float(), scales.float()
    if groups is None:
        length = levels.shape[0] // scales.shape[0]
        cut = levels.float().reshape(scales.shape[0], length, -1)
        weight = cut.sub_(zeros.unsqueeze(1)).mul_(scales.unsqueeze(1)).reshape(levels.shape)
    else:
        weight = levels.float().sub_(zeros[groups]).mul_(scales[groups])
    return weight.T.contiguous()
