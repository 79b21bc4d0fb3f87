"""How keys and values can be quantized: the schemes, and what they cost.

Every token's keys and values are rounded head by head, in groups along the width of the head: to evenly spaced levels
from the least to the greatest of a group (``int8``, ``int4``, ``int2``), or to 8-bit floating point with one scale a
group (``fp8``). The arithmetic is in ``generation/kv_quant.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.checkpoint import CONFIG, read_json

SCHEMES: Final[Mapping[str, int]] = {"int8": 8, "int4": 4, "int2": 2, "fp8": 8}
"""What ``+kv:`` takes, and the bits of an element without its share of the scales."""

GROUP: Final = 32
"""Elements of a head that share their scale; all of it where its width cannot be cut into such groups."""

_FP8: Final = "fp8"
_SCALE_BITS: Final = 16
_FP16_BITS: Final = 16
_MOST: Final = 1 << 32  # more heads, layers or elements than any model has


def group_of(width: int) -> int:
    """Elements of a group, for heads of a width."""
    return GROUP if width % GROUP == 0 else width


def bits_of(scheme: str, width: int = GROUP) -> float:
    """Bits that an element takes as stored: its own, and its share of a scale and, but for fp8, of an offset.

    Args:
        scheme: One of ``SCHEMES``.
        width: Elements of a head.
    """
    return SCHEMES[scheme] + (1 if scheme == _FP8 else 2) * _SCALE_BITS / group_of(width)


def fact(scheme: str, folder: Path) -> str:
    """How keys and values are stored, for the variant's identity: ``int8 in groups of 32, 9 bits with scales``.

    Args:
        scheme: One of ``SCHEMES``.
        folder: The checkpoint, whose configuration tells the width of a head.
    """
    width, _ = _shape(folder) or (GROUP, 0)
    return f"{scheme} in groups of {group_of(width)}, {bits_of(scheme, width):.4g} bits with scales"


def described(scheme: str, folder: Path) -> str:
    """One phrase for people: groups, bits, and what a token takes where the configuration tells.

    Args:
        scheme: One of ``SCHEMES``.
        folder: The checkpoint.
    """
    shape = _shape(folder)
    size = ""
    if shape is not None:
        width, elements = shape
        stored, whole = elements * bits_of(scheme, width) / 8, elements * _FP16_BITS / 8
        size = f" ({stored:,.0f} bytes a token, {whole:,.0f} in fp16)"
    return f"keys and values {fact(scheme, folder)}{size}"


def _shape(folder: Path) -> tuple[int, int] | None:
    """Width of a head, and elements that one token has in all layers; None where the configuration does not tell."""
    try:
        config = read_json(folder / CONFIG)
    except ModelError:  # told when the model is checked
        return None
    text: Any = config.get("text_config", config)
    with suppress(AttributeError, KeyError, TypeError, ZeroDivisionError, ValueError):
        heads = text["num_attention_heads"]
        groups = text.get("num_key_value_heads") or heads
        width = text.get("head_dim") or text["hidden_size"] // heads
        layers = text["num_hidden_layers"]
        if all(type(each) is int and 0 < each < _MOST for each in (heads, groups, width, layers)):
            return width, 2 * layers * groups * width
    return None
