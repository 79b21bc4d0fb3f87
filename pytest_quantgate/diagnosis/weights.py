"""Weights of linear layers and their errors, read alike of ordinary and of quantized layers. Imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.variants.dense import is_readable, quantizes_activations, weight_in

_AT_A_TIME: Final = 3  # an error in float32, and the two weights that it is the difference of
_FLOAT: Final = 4


def error_of(reference: nn.Module, layer: nn.Module) -> torch.Tensor:
    """What a layer's weight lacks, ``(out_features, in_features)`` in float32 on its device.

    Args:
        reference: The layer of the model that is trusted.
        layer: The other's.
    """
    own = weight_in(layer)
    return weight_in(reference).to(own.device).float() - own.float()


def output_error_of(reference: nn.Module, layer: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """What a layer's output lacks, ``(..., out_features)`` in float32.

    It is the error of its weight, times its inputs. Of a layer that quantizes these it is that of what its own kernels
    give, so that what is lost of the inputs counts as well.

    Args:
        reference: The layer of the model that is trusted.
        layer: The other's; its hooks are not called.
        inputs: What it is given, ``(..., in_features)`` in the compute dtype.
    """
    if not quantizes_activations(layer):
        return functional.linear(inputs, error_of(reference, layer).to(inputs.dtype)).float()
    bias: torch.Tensor | None = getattr(layer, "bias", None)
    right = functional.linear(inputs, weight_in(reference).to(inputs), None if bias is None else bias.to(inputs))
    found: torch.Tensor = layer.forward(inputs)
    return right.float() - found.float()


def all_readable(model: nn.Module, names: Iterable[str]) -> bool:
    """Whether the weights of some layers can be read."""
    return all(is_readable(model.get_submodule(name)) for name in names)


def shapes_of(model: nn.Module, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Rows and columns of linear layers, by their full names."""
    found = {}
    for name in names:
        layer: Any = model.get_submodule(name)
        found[name] = (int(layer.out_features), int(layer.in_features))
    return found


def error_bytes(shapes: Iterable[tuple[int, int]]) -> int:
    """Most that reading the error of one of some layers takes.

    Args:
        shapes: Their rows and columns.
    """
    return _AT_A_TIME * _FLOAT * max(rows * columns for rows, columns in shapes)


def unread(before: Runner, after: Runner, names: Sequence[str]) -> str | None:
    """That a search goes without the errors of weights, one line; None where all can be read.

    Args:
        before: Runs the reference.
        after: Runs the candidate.
        names: Full names of the linear layers.
    """
    for runner in (before, after):
        missing = [name for name in names if not is_readable(runner.module(name))]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return (
                f"the weights of {runner.name} cannot be read in {missing[0]}{more}, which only its own kernels know: "
                "layers were not put in order by their effect on the cases, and errors were not compensated"
            )
    return None
