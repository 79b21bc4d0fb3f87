"""The part of the round-to-nearest backend that needs torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pytest_quantgate.variants.dense import spread
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.loading import cast_parameters, dtype_of, layers_to_quantize
from pytest_quantgate.variants.modules import check_skips
from pytest_quantgate.variants.rounding import Rounded, store_rounded
from pytest_quantgate.variants.rtn import check_shapes
from pytest_quantgate.variants.spec import VariantSpec


class RoundedLinear(nn.Module):
    """A linear layer as it would be stored; it is spread out before it runs.

    Args:
        layer: The layer that is rounded.
        rounded: Its weight.
    """

    def __init__(self, layer: nn.Linear, rounded: Rounded) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.rounded = rounded
        self.bias = layer.bias


def round_layers(model: PreTrainedModel, spec: VariantSpec) -> None:
    """Rounds every linear layer but the output head and those that are skipped, in place.

    Raises:
        SpecError: See ``RtnBackend.load``.
    """
    skips = spec.names("skip")
    bits, group = spec.bits_and_group
    check_skips(skips, [name for name, _ in model.named_modules() if name], str(spec))
    layers = layers_to_quantize(model, skips)
    check_shapes(spec, {name: (layer.out_features, layer.in_features) for name, layer in layers.items()})
    for name in list(layers):
        layer = layers.pop(name)  # its weight goes when it is rounded, and not with the last one
        model.set_submodule(name, RoundedLinear(layer, store_rounded(layer.weight, bits, group)))


def stored_bytes(module: nn.Module) -> int | None:
    """See ``RtnBackend.stored_bytes``."""
    return module.rounded.nbytes if isinstance(module, RoundedLinear) else None


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``RtnBackend.finish``."""
    dtype = dtype_of(placement.compute_dtype)
    spread(model, partial(_weight_of, dtype=dtype))
    cast_parameters(model, dtype)


def _weight_of(module: Any, dtype: torch.dtype) -> torch.Tensor | None:
    return module.rounded.weight(dtype) if isinstance(module, RoundedLinear) else None
