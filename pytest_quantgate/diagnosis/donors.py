"""Layers of the reference for a candidate to try, as it can run them. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import nn
from transformers import PreTrainedModel

from pytest_quantgate.variants.rounding import Rounded as RoundedWeight
from pytest_quantgate.variants.rounding import store_rounded

EIGHT_BITS: Final = 8
_GROUPS: Final = (64, 32, 16)


class Brought:
    """Layers of the reference in the candidate's compute dtype and on its device, made anew for each trial.

    Those that need no change are the reference's own, and so are those that are not dense: see ``can_lend``.

    Args:
        reference: The model that is trusted.
        candidate: The one that runs them.
        rounded: Whether weights are rounded as ``fp16`` stores them, which the reference's are not yet.
    """

    def __init__(self, reference: nn.Module, candidate: PreTrainedModel, *, rounded: bool = False) -> None:
        self._reference = reference
        self._candidate = candidate
        self._rounded = rounded

    def donor(self, names: Iterable[str]) -> nn.Module:
        """A model of nothing but these layers."""
        return donor_of({name: self._brought(name) for name in names})

    def _brought(self, name: str) -> nn.Module:
        layer = self._reference.get_submodule(name)
        if type(layer) is not nn.Linear:
            return layer
        weight = layer.weight.half() if self._rounded else layer.weight
        weight = weight.to(self._candidate.device, self._candidate.dtype)
        return layer if weight is layer.weight else _like(layer, weight)


class Rounded:
    """Layers of the reference rounded to 8 bits, exactly those of ``rtn:8bit``; each is rounded once.

    Between trials only what would be stored is kept: as ``Brought`` gives them they would take as much as a model.

    Args:
        reference: The model that is trusted, of dense weights.
        candidate: The one that runs them, in its compute dtype and on its device.
        group: Weights that share a scale, from ``group_of``.
    """

    def __init__(self, reference: nn.Module, candidate: PreTrainedModel, group: int) -> None:
        self._reference = reference
        self._candidate = candidate
        self._group = group
        self._stored: dict[str, RoundedWeight] = {}

    def donor(self, names: Iterable[str]) -> nn.Module:
        """A model of nothing but these layers."""
        return donor_of({name: self._rounded(name) for name in names})

    def _rounded(self, name: str) -> nn.Module:
        layer = self._reference.get_submodule(name)
        if name not in self._stored:
            weight = layer.get_parameter("weight").half()  # as a variant loads it that rounds it
            self._stored[name] = store_rounded(weight, EIGHT_BITS, self._group)
        return _like(layer, self._stored[name].weight(self._candidate.dtype).to(self._candidate.device))


def can_lend(reference: PreTrainedModel, candidate: PreTrainedModel, names: Iterable[str]) -> bool:
    """Whether the candidate can run the reference's layers: both compute alike, or dense weights can be brought over.

    Args:
        reference: The model that is trusted.
        candidate: The one that is to run its layers.
        names: Full names of linear layers.
    """
    alike = (reference.dtype, reference.device) == (candidate.dtype, candidate.device)
    return alike or all(type(reference.get_submodule(name)) is nn.Linear for name in names)


def donor_of(modules: Mapping[str, nn.Module]) -> nn.Module:
    """A model of nothing but some modules, by their full names."""
    root = nn.Module()
    for name, module in modules.items():
        place = root
        *above, last = name.split(".")
        for part in above:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.add_module(last, module)
    return root


def group_of(reference: nn.Module, names: Iterable[str]) -> int | None:
    """The most weights that can share a scale in all of some layers; None where they are not dense or do not fit."""
    modules = [reference.get_submodule(name) for name in names]
    if not all(type(module) is nn.Linear for module in modules):
        return None
    columns = {module.in_features for module in modules if isinstance(module, nn.Linear)}
    return next((group for group in _GROUPS if not any(each % group for each in columns)), None)


def _like(layer: nn.Module, weight: torch.Tensor) -> nn.Linear:
    """A layer of another weight, and the same bias in its dtype and on its device."""
    rows, columns = weight.shape
    made = nn.Linear(columns, rows, bias=False, device="meta")
    made.weight = nn.Parameter(weight, requires_grad=False)
    bias: torch.Tensor | None = getattr(layer, "bias", None)
    if bias is not None:
        made.bias = nn.Parameter(bias.to(weight), requires_grad=False)
    return made.eval()
