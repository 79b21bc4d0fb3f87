"""Tensors that hold others, as libraries pack quantized weights. Imports torch: import it only to load."""

from __future__ import annotations

from typing import Any

import torch


def inner_bytes(tensor: torch.Tensor) -> int:
    """Bytes of all plain tensors inside a tensor: packed weights, scales and zeros; its own where it is plain."""
    outer: Any = tensor
    if not hasattr(outer, "__tensor_flatten__"):
        return int(tensor.nbytes)
    names, _ = outer.__tensor_flatten__()
    return sum(inner_bytes(getattr(outer, name)) for name in names)
