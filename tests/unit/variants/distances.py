"""How far variants of one model are from the first of them: what all tests of their order measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pytest_quantgate.variants.dense import weight_in
from pytest_quantgate.variants.variant import LoadedModel

TOKENS = torch.tensor([[2, 4, 10, 11, 12, 13, 3, 4, 40, 50, 60]])


def logits(loaded: LoadedModel) -> torch.Tensor:
    network: Any = loaded.model
    with torch.inference_mode():
        found: torch.Tensor = network(TOKENS).logits
    return found


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.float() - other.float()).norm() / other.float().norm())


def measured(family: Sequence[LoadedModel]) -> tuple[list[float], list[float], list[float]]:
    """Of each variant the bits per weight, and how far its layers' weights and its logits are from the first's."""
    weights, answers = ([read(each) for each in family] for read in (_weights, logits))
    return (
        [each.audit.bits_per_weight for each in family],
        [distance(each, weights[0]) for each in weights],
        [distance(each, answers[0]) for each in answers],
    )


def _weights(loaded: LoadedModel) -> torch.Tensor:
    """The weights that all decoder layers stand for, however they are stored."""
    layers = [module for name, module in loaded.model.named_modules() if name.endswith("_proj")]
    return torch.cat([weight_in(layer).flatten() for layer in layers])
