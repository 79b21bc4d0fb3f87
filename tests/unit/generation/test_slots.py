"""Key-value memory: what one row leaves behind reaches no other."""

from __future__ import annotations

import torch

from pytest_quantgate.generation.slots import SlotPool

LENGTHS = (40, 38, 20)  # one run


def test_a_row_of_nan_leaves_nothing_to_the_row_that_takes_its_place() -> None:
    layers = [(torch.ones(1, 2, 40, 4), torch.ones(1, 2, 40, 4))]
    pool = SlotPool(layers, rows=3, capacity=64)
    pool.add([(torch.full_like(keys, torch.nan), torch.full_like(values, torch.nan)) for keys, values in layers], 0, 40)
    for length in LENGTHS[1:]:
        pool.add(layers, 0, length)
    assert len(pool.runs()) == 1
    assert pool.remove(0) == [(2, 0)]
    for memory in pool.memory()[0]:
        seen = memory[: pool.active, :, pool.window : pool.cursor]
        assert torch.isfinite(seen).all()
        assert seen[0, 0, :, 0].sum() == LENGTHS[-1]
