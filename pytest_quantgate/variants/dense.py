"""Quantized layers spread out to ordinary ones. Imports torch: import it only to load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def spread(model: nn.Module, weight_of: Callable[[nn.Module], torch.Tensor | None]) -> None:
    """Replaces quantized layers, one at a time, by ordinary ones that hold exactly the weights they stand for.

    Args:
        model: A loaded model; changed in place.
        weight_of: The dequantized weight of a module, ``(out_features, in_features)`` in the compute dtype; None for a
            module that stays.
    """
    for name, module in list(model.named_modules()):
        weight = weight_of(module)
        if weight is None:
            continue
        rows, columns = weight.shape
        layer = nn.Linear(columns, rows, bias=False, device="meta")
        layer.weight = nn.Parameter(weight, requires_grad=False)
        bias: torch.Tensor | None = getattr(module, "bias", None)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
        model.set_submodule(name, layer.eval())
    quantizer: Any = getattr(model, "hf_quantizer", None)
    if quantizer is not None:  # an ordinary model from here on
        quantizer.remove_quantization_config(model)
