"""Linear layers in float32 on a CPU, by the quicker of torch's two libraries. Imports torch: import to load a model.

torch multiplies float32 by MKL and other dtypes by oneDNN. benchmarks/products.py finds oneDNN quicker in float32 too,
for any number of rows, on a processor that MKL was not made for. Its operator is the one that torch.compile puts where
linear layers were; it takes weights as they lie, so nothing is held twice. Results differ from MKL's by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch.nn import Parameter, functional
from torch.overrides import TorchFunctionMode

_CLOSE = 1e-5  # of a product of random numbers, relative: float32 leaves 1e-6 here


def product(weight: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Weights times activations, ``(out_features, in_features)`` by ``(in_features, rows)``.

    The weights are the left factor: a library lays its right factor out anew for every product.
    """
    if _suit(weight, inputs):
        return by_onednn(weight, inputs.t(), None)
    return torch.mm(weight, inputs)


class Linear(TorchFunctionMode):
    """Sends linear layers of plain weights in float32 to oneDNN, and leaves everything else as it is."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear and not kwargs:
            inputs, weight, *rest = args
            if _suit(weight, inputs):
                return by_onednn(inputs, weight, rest[0] if rest else None)
        return func(*args, **(kwargs or {}))


def _suit(weight: torch.Tensor, inputs: torch.Tensor) -> bool:
    """Whether these are what oneDNN's operator is for: plain, and asked for no gradients, which it does not know."""
    if torch.is_grad_enabled() or not (_is_plain(weight) and _is_plain(inputs)):
        return False
    return weight.is_contiguous() and has_onednn()


def _is_plain(tensor: torch.Tensor) -> bool:
    plain = type(tensor) in {torch.Tensor, Parameter} and tensor.dtype == torch.float32 and tensor.device.type == "cpu"
    return plain and tensor.numel() > 0


def by_onednn(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """A linear layer, ``(..., in_features)`` to ``(..., out_features)``, by torch's own operator of oneDNN."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")  # noqa: SLF001
    return result


@cache
def has_onednn() -> bool:
    """Whether this torch has the operator and it multiplies: it is internal to torch, and not promised to stay."""
    chance = torch.Generator().manual_seed(0)
    inputs, weight, bias = (torch.randn(size, generator=chance) for size in ((5, 96), (64, 96), (64,)))
    try:
        found = by_onednn(inputs, weight, bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
    exact = torch.addmm(bias, inputs, weight.t())
    return found.shape == exact.shape and bool((found - exact).norm() <= _CLOSE * exact.norm())
