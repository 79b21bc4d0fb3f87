"""Seeded chance for the tests of probes."""

from __future__ import annotations

from functools import cache

import torch


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Independent standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@cache
def rotation(size: int, seed: int = 0) -> torch.Tensor:
    """A random orthogonal matrix."""
    turned: torch.Tensor = torch.linalg.qr(normal(size, size, seed=seed)).Q
    return turned
