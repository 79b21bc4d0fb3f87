"""Quantized layers spread out to ordinary ones, or read as if they were. Imports torch: import it only to load."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import nn

_READ: Final = "quantgate_weight_of"  # on a layer that stays quantized: gives the weight that it stands for
_ACTIVATIONS: Final = "quantgate_activations"  # on such a layer: whether it quantizes what it is given, too


def spread(model: nn.Module, weight_of: Callable[[nn.Module], torch.Tensor | None]) -> None:
    """Replaces quantized layers, one at a time, by ordinary ones that hold exactly the weights they stand for.

    A quantized layer to which nothing else refers is freed before the next one is replaced.

    Args:
        model: A loaded model; changed in place.
        weight_of: The dequantized weight of a module, ``(out_features, in_features)`` in the compute dtype; None for a
            module that stays.
    """
    left = deque(model.named_modules())
    while left:
        name, module = left.popleft()
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


def keep_readable(
    modules: Iterable[nn.Module],
    weight_of: Callable[[nn.Module], torch.Tensor | None],
    *,
    activations: bool = False,
) -> None:
    """Notes on layers that run by their own kernels how their weights are read, for ``weight_in``.

    Args:
        modules: The layers; none that ``weight_of`` gives None for.
        weight_of: As for ``spread``; it must not change the module.
        activations: Whether the layers quantize what they are given, too.
    """
    for module in modules:
        setattr(module, _READ, weight_of)
        setattr(module, _ACTIVATIONS, activations)


def is_ordinary(module: nn.Module) -> bool:
    """Whether a layer does nothing but multiply with its own weight; some libraries keep the type and do more."""
    return type(module) is nn.Linear and _READ not in vars(module)


def is_readable(module: nn.Module) -> bool:
    """Whether ``weight_in`` knows a layer's weight; not where nothing but the layer's own kernels does."""
    return type(module) is nn.Linear or _READ in vars(module)


def quantizes_activations(module: nn.Module) -> bool:
    """Whether a layer is known to quantize what it is given."""
    return bool(vars(module).get(_ACTIVATIONS))


def weight_in(module: nn.Module) -> torch.Tensor:
    """The weight that a layer stands for, ``(out_features, in_features)`` in the compute dtype.

    Args:
        module: An ordinary linear layer, whose own weight it is, or one that stayed quantized, of which it is made
            anew each time; see ``is_readable``.
    """
    weight: torch.Tensor = module.get_parameter("weight") if is_ordinary(module) else vars(module)[_READ](module)
    return weight
