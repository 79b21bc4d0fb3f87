"""Proof that keys and values are quantized, taken from what attention reads. Imports torch: import it only to load.

Nothing of ``kv_quant`` is asked: what was read must lie on a grid that its own numbers span. The ends of a group's grid
are stored in fp16, and are among its numbers as they are: in every compute dtype what is in fp16 of a number of that
dtype is one of its numbers too. So a number is beside the grid by its own rounding alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch

from pytest_quantgate.errors import AuditError
from pytest_quantgate.variants.kv import SCHEMES, group_of

_TOKENS: Final = 64  # that are looked at in each layer, spread over the prompt
_LEAST: Final = 2.0**-14  # smaller numbers are rounded so much where scales are stored in fp16 that they span no grid
_ARITHMETIC: Final = 2.0**-20  # error of the float32 arithmetic that made the numbers, for the greatest of a group
_EIGHT: Final = torch.float8_e4m3fn
_LARGEST: Final = torch.finfo(_EIGHT).max
_MARGIN: Final = 1.02


def check_stored(scheme: str, layers: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Refuses keys and values that are not quantized as a scheme says.

    A group whose numbers lie close together for their size, or are tiny, tells nothing and is passed over: its least
    and its greatest number need not be the ends of its grid.

    Args:
        scheme: One of ``variants.kv.SCHEMES``.
        layers: What attention reads, ``(keys, values)`` of each layer, each ``(batch, heads, length, width)``.

    Raises:
        AuditError: A number lies beside the grid of its group: evenly spaced levels from its least number to its
            greatest, or 8-bit floats whose largest is its greatest magnitude.
    """
    for number, layer in enumerate(layers):
        for what, states in zip(("keys", "values"), layer, strict=True):
            width, length = states.shape[-1], states.shape[-2]
            some = states[..., :: max(1, length // _TOKENS), :]
            groups = some.double().reshape(-1, group_of(width))
            dtype = states.dtype
            beside = _beside_floats(groups, dtype) if scheme == "fp8" else _beside_levels(groups, dtype, scheme)
            wrong = int(beside.any(-1).sum())
            if wrong:
                raise AuditError(
                    f"the {what} that layer {number} reads are not quantized: {wrong:,} of {len(groups):,} groups are "
                    f"not of {scheme}",
                    where=f"+kv:{scheme}",
                    hint="this model keeps keys and values in a way that is not known here: leave out +kv:",
                )


def _beside_levels(groups: torch.Tensor, dtype: torch.dtype, scheme: str) -> torch.Tensor:
    """Which numbers are on none of the levels, evenly spaced from the least to the greatest of their group."""
    low, high = groups.aminmax(dim=-1, keepdim=True)
    largest = torch.maximum(low.abs(), high.abs())
    spread = high - low
    # else the least and the greatest number need not be the levels that fp16 rounded them to
    spans = (spread >= largest / 2) & (spread >= _LEAST) & spread.isfinite()
    step = spread / (2 ** SCHEMES[scheme] - 1)
    nearest = low + ((groups - low) / step).round() * step
    error = _half_ulp(groups, dtype) + _ARITHMETIC * largest
    beside: torch.Tensor = spans & ((groups - nearest).abs() > _MARGIN * error)
    return beside


def _beside_floats(groups: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Which numbers are no 8-bit floats (e4m3), the greatest magnitude of their group being the largest of these."""
    sizes = groups.abs()
    largest = sizes.amax(-1, keepdim=True)
    spans = (largest >= _LEAST) & largest.isfinite()
    scale = largest / _LARGEST
    nearest = (sizes / scale).float().clamp(max=_LARGEST).to(_EIGHT).double() * scale
    error = _half_ulp(sizes, dtype) + _ARITHMETIC * sizes
    return spans & ((sizes - nearest).abs() > _MARGIN * error)


def _half_ulp(numbers: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """How far rounding to a dtype moves a number at most."""
    info = torch.finfo(dtype)
    exponent = torch.frexp(numbers.abs().clamp(min=info.tiny)).exponent
    return exponent.double().exp2() * (info.eps / 4)
