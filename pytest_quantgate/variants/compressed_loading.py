"""Checkpoints of compressed-tensors, once transformers has loaded them. Imports torch: import it only to load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of
from pytest_quantgate.variants.stored import STORED

_OF_A_MATRIX = "_global_scale"
_ZERO = "weight_zero_point"
_WORD = 32


@contextmanager
def with_room_for_zeros() -> Iterator[None]:
    """Lets asymmetric weights that are packed be loaded.

    Before there are any weights, compressed-tensors makes room for zeros that are not packed, and transformers then
    refuses the packed ones of the files for their shape.
    """
    from compressed_tensors.compressors import PackedQuantizationCompressor

    own = vars(PackedQuantizationCompressor)["compress"]
    compressing = PackedQuantizationCompressor.compress

    def compress(_: type, state: dict[str, torch.Tensor], scheme: Any) -> dict[str, torch.Tensor]:
        made: dict[str, torch.Tensor] = compressing(state, scheme)
        zero = made.get(_ZERO)
        if zero is not None and zero.is_meta and zero.dtype != torch.int32:
            words = ceil(zero.shape[0] * scheme.weights.num_bits / _WORD)
            made[_ZERO] = torch.empty(words, *zero.shape[1:], dtype=torch.int32, device="meta")
        return made

    PackedQuantizationCompressor.compress = classmethod(compress)
    try:
        yield
    finally:
        PackedQuantizationCompressor.compress = own


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """Has compressed-tensors do now what it would do with the first prompt, and show a bar for."""
    from compressed_tensors.compressors.base import decompress_module

    dtype = dtype_of(placement.compute_dtype)
    compressor: Any = getattr(getattr(model, "hf_quantizer", None), "compressor", None)
    compressor.remove_decompression_hook(model)
    if placement.kernels == "dense":
        spread(model, partial(_weight_of, dtype=dtype))
    else:
        for module in model.modules():
            weight = _weight_of(module, dtype)
            decompress_module(module)
            if weight is not None:
                module.weight = nn.Parameter(weight, requires_grad=False)
    whole = {name: each.data for name, each in model.named_parameters() if name.endswith(_OF_A_MATRIX)}
    cast_parameters(model, dtype)
    for name, scale in whole.items():  # more than float16 can hold, where activations are small
        model.get_parameter(name).data = scale
    # what is ordinary by its type rounds its inputs, where the scheme says so, by a forward pass of its own
    rounding = [module for module in model.modules() if _rounds_activations(module)]
    keep_readable(rounding, lambda module: module.get_parameter("weight"), activations=True)


def _rounds_activations(module: nn.Module) -> bool:
    scheme = getattr(module, "quantization_scheme", None)
    sides = (getattr(scheme, side, None) for side in ("input_activations", "output_activations"))
    return isinstance(module, nn.Linear) and any(side is not None for side in sides)


def _weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor | None:
    """The weight that a compressed layer stands for, computed in float32; None for another module."""
    from compressed_tensors.compressors import BaseCompressor

    if not hasattr(module, STORED):
        return None
    scheme = module.quantization_scheme
    held = {
        name: each.data.float() if name.endswith("_scale") and each.is_floating_point() else each.data
        for name, each in module.named_parameters(recurse=False)
        if name.startswith("weight")
    }
    # NVFP4 is computed in bfloat16 there, which holds numbers times scales of groups exactly, and no more than that
    whole = held.pop(f"weight{_OF_A_MATRIX}", None)
    weight: torch.Tensor = BaseCompressor.get_value_from_registry(scheme.format).decompress(held, scheme)["weight"]
    if whole is not None:
        weight = weight.float() / whole
    return weight.detach().to(dtype)
