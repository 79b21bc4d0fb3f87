"""A model's own forward pass, called the same way on every device. Imports torch: import to load a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pytest_quantgate.generation.linear import Linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""On CUDA: cuDNN, which torch would prefer on newer GPUs, plans anew for each shape, and a step is always a new one."""


def logits_of(model: PreTrainedModel, **inputs: Any) -> torch.Tensor:
    """The logits of the model's own forward pass; on a CPU its plain linear layers by the quicker library.

    On CUDA, attention without cuDNN.

    Args:
        model: The model.
        inputs: What it is called with; tensors may lie in the computer's memory.

    Returns:
        Logits, ``(prompts, positions, vocabulary)``, where the model is.
    """
    device = model.device
    placed = {name: _placed(each, device) if isinstance(each, torch.Tensor) else each for name, each in inputs.items()}
    with Linear() if device.type == "cpu" else sdpa_kernel(_ATTENTION):
        logits: torch.Tensor = model(**placed).logits
    return logits


def _placed(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device; from pinned memory a copy to CUDA waits for nothing that still runs there."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)  # an expanded tensor cannot be pinned
