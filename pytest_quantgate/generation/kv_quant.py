"""Keys and values rounded to what a quantized cache would hold. Imports torch: import it only to load.

They are rounded once, when they are written, and spread out again at once: attention reads what would be stored, of the
token itself too, in the compute dtype. Every token is rounded by itself, so that it does not matter what else is in the
batch, which part of a prompt was read in one pass, or what is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from pytest_quantgate.variants.kv import SCHEMES, group_of

Store = Callable[[torch.Tensor], torch.Tensor]
"""Takes keys or values on their way into memory, ``(..., width)``, and gives what can be read of them later."""

_EIGHT = torch.float8_e4m3fn
_LARGEST = torch.finfo(_EIGHT).max


def store_of(scheme: str | None) -> Store:
    """How keys and values are stored under a scheme of ``variants.kv``; as they are for None."""
    if scheme is None:
        return as_they_are
    return _floating if scheme == "fp8" else partial(_on_levels, steps=2 ** SCHEMES[scheme] - 1)


def as_they_are(states: torch.Tensor) -> torch.Tensor:
    """Keys or values that are not quantized."""
    return states


def cache_of(store: Store, stored: Iterable[tuple[torch.Tensor, torch.Tensor]] = ()) -> DynamicCache:
    """A cache to read prompts into.

    Args:
        store: How what is read is stored.
        stored: Keys and values of each layer that it begins with; they are in it as they are.
    """
    cache = DynamicCache()
    make: Any = partial(_StoringLayer, store)
    cache.layer_class_to_replicate = make  # for each layer of the model
    for keys, values in stored:
        layer = _StoringLayer(store)
        layer.append(keys, values)
        cache.layers.append(layer)
    return cache


class _StoringLayer(DynamicLayer):
    """One layer of a cache that stores what is written."""

    def __init__(self, store: Store) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store = store

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write behind what is there and return all."""
        return self.append(self._store(key_states), self._store(value_states))

    def append(self, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Put behind what is there, as it is, and return all."""
        return super().update(keys, values)


def _on_levels(states: torch.Tensor, steps: int) -> torch.Tensor:
    """The nearest of ``steps + 1`` evenly spaced levels from the least to the greatest of each group.

    These two are stored in fp16. A group with a number that is not finite gives none that is, so that it shows in the
    logits.
    """
    groups = _in_groups(states)
    low, high = (_in_fp16(each) for each in groups.aminmax(dim=-1, keepdim=True))
    step = (high - low) / steps
    level = ((groups - low) / torch.where(step == 0, 1, step)).round().clamp(0, steps)
    return (level * step + low).reshape(states.shape).to(states.dtype)


def _floating(states: torch.Tensor) -> torch.Tensor:
    """The nearest 8-bit floating-point number (e4m3), the greatest magnitude of each group being its largest.

    That magnitude is stored in fp16; what is not finite shows as in ``_on_levels``.
    """
    groups = _in_groups(states)
    scale = _in_fp16(groups.abs().amax(dim=-1, keepdim=True)) / _LARGEST
    eights = (groups / torch.where(scale == 0, 1, scale)).clamp(-_LARGEST, _LARGEST).to(_EIGHT)
    return (eights.float() * scale).reshape(states.shape).to(states.dtype)


def _in_groups(states: torch.Tensor) -> torch.Tensor:
    width = states.shape[-1]
    return states.float().reshape(*states.shape[:-1], width // group_of(width), group_of(width))


def _in_fp16(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.half().float()
