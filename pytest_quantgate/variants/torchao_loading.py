"""The part of the torchao backend that needs torch."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, TorchAoConfig

from pytest_quantgate.variants.dense import keep_readable, spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import (
    cast_parameters,
    dtype_of,
    layers_to_quantize,
    load_pretrained,
    load_skeleton,
    modules_to_skip,
    quiet,
)
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.variants.torchao import INT4_GROUP, KINDS, check_columns
from pytest_quantgate.variants.wrapped import inner_bytes

with quiet():  # it speaks of kernels for other devices when it is imported
    from torchao import quantization as ao
    from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig
    from torchao.quantization.quantize_.workflows import Int4PackingFormat
    from torchao.utils import TorchAOBaseTensor

_CONFIG: Any = TorchAoConfig  # it carries no types
_DTYPES = ("dtype", "orig_dtype")  # what its tensors call the dtype that they pass for


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``TorchaoBackend.load``."""
    kind = KINDS[spec.scheme or ""]
    if kind.columns > 1:  # the files do not tell the shapes of every model
        layers = layers_to_quantize(load_skeleton(folder), spec.names("skip"))
        check_columns(spec, {name: layer.in_features for name, layer in layers.items()})
    config = _CONFIG(_recipe(spec.scheme or ""), modules_to_not_convert=modules_to_skip(spec, folder))
    return load_pretrained(folder, dtype=dtype_of(kind.source), device=placement.device, quantization=config)


def _recipe(scheme: str) -> Any:
    """What torchao calls a scheme."""
    return {
        "int8": ao.Int8WeightOnlyConfig,
        "float8": ao.Float8WeightOnlyConfig,
        "nvfp4": NVFP4WeightOnlyConfig,
        "int4": partial(
            ao.Int4WeightOnlyConfig,
            group_size=INT4_GROUP,
            int4_packing_format=Int4PackingFormat.TILE_PACKED_TO_4D,  # its kernels are torch's own
        ),
        "int8-dynamic": ao.Int8DynamicActivationInt8WeightConfig,
        "float8-dynamic": partial(ao.Float8DynamicActivationFloat8WeightConfig, granularity=ao.PerRow()),
    }[scheme]()


def stored_bytes(module: nn.Module) -> int | None:
    """See ``TorchaoBackend.stored_bytes``."""
    weight = getattr(module, "weight", None)
    return inner_bytes(weight) if isinstance(weight, TorchAOBaseTensor) else None


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``TorchaoBackend.finish``."""
    dtype = dtype_of(placement.compute_dtype)
    for module in model.modules():
        weight: Any = getattr(module, "weight", None)
        if isinstance(weight, TorchAOBaseTensor) and weight.dtype != dtype:
            module.weight = nn.Parameter(_passing_for(weight, dtype), requires_grad=False)
        if isinstance(weight, TorchAOBaseTensor) and placement.kernels == "native":
            module.__class__ = PackedLinear
            if type(weight).dequantize is not torch.Tensor.dequantize:  # int4 has none of its own
                dynamic = getattr(weight, "act_quant_kwargs", None) is not None
                keep_readable([module], partial(_weight_of, dtype=dtype), activations=dynamic)
    if placement.kernels == "dense":
        spread(model, partial(_weight_of, dtype=dtype))
    cast_parameters(model, dtype)


class PackedLinear(nn.Linear):
    """A linear layer with a packed weight, told apart by its type from one whose weight is an ordinary matrix."""


def _passing_for(weight: Any, dtype: torch.dtype) -> torch.Tensor:
    """The same packed weight, which says that it is of another dtype: it is multiplied with inputs of that."""
    names, facts = weight.__tensor_flatten__()
    tensors = {name: getattr(weight, name) for name in names}
    facts |= {key: dtype for key in _DTYPES if key in facts}
    found: torch.Tensor = type(weight).__tensor_unflatten__(tensors, facts, weight.size(), weight.stride())
    return found


def _weight_of(module: nn.Module, dtype: torch.dtype) -> torch.Tensor | None:
    """The weight that a layer stands for."""
    weight: Any = getattr(module, "weight", None)
    if not isinstance(weight, TorchAOBaseTensor):
        return None
    dense: torch.Tensor = weight.dequantize().to(dtype)
    return dense.contiguous()
