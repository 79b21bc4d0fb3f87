"""A model's own forward pass, called the same way on every device. Imports torch: import to load a model."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantgate.generation.linear import Linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def logits_of(model: PreTrainedModel, **inputs: Any) -> torch.Tensor:
    """The logits of the model's own forward pass; on a CPU its plain linear layers by the quicker library.

    Args:
        model: The model.
        inputs: What it is called with; tensors may lie in the computer's memory.

    Returns:
        Logits, ``(prompts, positions, vocabulary)``, where the model is.
    """
    device = model.device
    placed = {name: _placed(each, device) if isinstance(each, torch.Tensor) else each for name, each in inputs.items()}
    with Linear() if device.type == "cpu" else nullcontext():
        logits: torch.Tensor = model(**placed).logits
    return logits


def _placed(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device; from pinned memory a copy to CUDA waits for nothing that still runs there."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
