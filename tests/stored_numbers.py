"""The weights that a checkpoint's tensors stand for, by each format's definition, in float64.

Written from the definitions alone: nothing of the product, and nothing of the libraries that make or read these files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

Tensors = dict[str, torch.Tensor]

_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def weight_of(folder: Path, layer: str) -> torch.Tensor:
    """The weight of one layer, ``(outputs, inputs)``."""
    named = load_file(folder / "model.safetensors")
    tensors = {name.removeprefix(f"{layer}."): each for name, each in named.items() if name.startswith(f"{layer}.")}
    told = json.loads((folder / "config.json").read_text())["quantization_config"] or {}
    method, kind = told["quant_method"], told.get("format", "")
    return _READERS[f"{method} {kind}".strip()](tensors)


def _bits(data: torch.Tensor, each: int) -> torch.Tensor:
    """Codes of some bits in the words or bytes of each row, the first in the lowest bits."""
    places = torch.arange(8 * data.element_size())
    stream = (data.long()[..., None] >> places & 1).flatten(-2)
    return (stream.reshape(len(stream), -1, each) << torch.arange(each)).sum(-1)


def _scaled(numbers: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Numbers times scales, one for whatever part of the matrix shares it."""
    scale = scale.double().reshape((1, 1) if scale.numel() == 1 else scale.shape)
    rows, columns = (size // count for size, count in zip(numbers.shape, scale.shape, strict=True))
    return numbers.double() * scale.repeat_interleave(rows, 0).repeat_interleave(columns, 1)


def _e8m0(scale: torch.Tensor) -> torch.Tensor:
    return 2.0 ** (scale.double() - 127)


def _e2m1(packed: torch.Tensor) -> torch.Tensor:
    codes = _bits(packed, 4)
    return torch.tensor(_E2M1, dtype=torch.float64)[codes & 7] * (1 - 2 * (codes >> 3))


def _e2m3(packed: torch.Tensor) -> torch.Tensor:
    codes = _bits(packed, 6)
    exponent, fraction = codes >> 3 & 3, (codes & 7) / 8
    magnitude = torch.where(exponent == 0, fraction, (1 + fraction) * 2.0 ** (exponent - 1))
    return magnitude.double() * (1 - 2 * (codes >> 5))


def _integers(tensors: Tensors) -> torch.Tensor:
    rows, columns = tensors["weight_shape"].tolist()
    packed, scale = tensors["weight_packed"], tensors["weight_scale"]
    each = packed.shape[1] * 32 // columns
    middle = 2 ** (each - 1)
    levels = _bits(packed, each)[:, :columns]
    zero = tensors.get("weight_zero_point")  # packed along the outputs
    zeros = torch.full(scale.shape, middle) if zero is None else _bits(zero.T, each)[:, :rows].T
    return _scaled(levels - zeros.repeat_interleave(columns // scale.shape[1], 1), scale)


_READERS: dict[str, Callable[[Tensors], torch.Tensor]] = {
    "compressed-tensors float-quantized": lambda held: _scaled(held["weight"], held["weight_scale"]),
    "compressed-tensors int-quantized": lambda held: _scaled(held["weight"], held["weight_scale"]),
    "compressed-tensors mxfp4-pack-quantized": lambda held: _scaled(
        _e2m1(held["weight_packed"]), _e8m0(held["weight_scale"])
    ),
    "compressed-tensors mxfp6-pack-quantized": lambda held: _scaled(
        _e2m3(held["weight_packed"]), _e8m0(held["weight_scale"])
    ),
    "compressed-tensors mxfp8-quantized": lambda held: _scaled(held["weight"], _e8m0(held["weight_scale"])),
    "compressed-tensors nvfp4-pack-quantized": lambda held: _scaled(
        _e2m1(held["weight_packed"]), held["weight_scale"].double() / held["weight_global_scale"].double()
    ),
    "compressed-tensors pack-quantized": _integers,
    "fp8": lambda held: _scaled(held["weight"], held["weight_scale_inv"]),
    "torchao": lambda held: _scaled(held["_weight_qdata"], held["_weight_scale"]),
}
