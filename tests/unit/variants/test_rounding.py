from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pytest_quantgate.variants.rounding import round_to_nearest, store_rounded

BITS = range(2, 9)


def drawn(rows: int = 16, columns: int = 96) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(3)).half()


@pytest.mark.parametrize("bits", BITS)
def test_no_weight_moves_by_more_than_half_a_step(bits: int) -> None:
    weight = drawn()
    stored = store_rounded(weight, bits, 32)
    found = stored.weight(torch.float32)
    groups = weight.float().reshape(-1, 32)
    step = (groups.amax(1) - groups.amin(1)) / (2**bits - 1)
    moved = (found.reshape(-1, 32) - groups).abs().amax(1)
    assert found.shape == weight.shape
    # the step is stored in float16, which moves the far end of the grid
    assert bool((moved <= step * (0.5 + 2**bits * 2**-11)).all())
    assert len(set(found.reshape(-1, 32)[0].tolist())) <= 2**bits


def test_more_bits_are_nearer_and_smaller_groups_are_too() -> None:
    weight = drawn()

    def error(bits: int, group: int) -> float:
        return float((store_rounded(weight, bits, group).weight(torch.float32) - weight.float()).norm())

    by_bits = [error(bits, 32) for bits in BITS]
    assert all(more > 1.8 * less for more, less in pairwise(by_bits))
    assert error(3, 16) < error(3, 32) < error(3, 96)


@pytest.mark.parametrize("bits", BITS)
def test_it_is_stored_in_so_many_bits(bits: int) -> None:
    stored = store_rounded(drawn(16, 96), bits, 32)
    assert stored.nbytes * 8 == 16 * 96 * bits + 16 * 3 * (16 + 16)


def test_what_is_on_the_grid_stays_as_it_is() -> None:
    grid = torch.tensor([[-1.0, -0.5, 0.0, 0.5] * 16]).half()
    assert torch.equal(store_rounded(grid, 2, 64).weight(torch.float16), grid)
    assert torch.equal(round_to_nearest(grid, 2), grid.float())


def test_a_group_of_one_value_stays_and_what_is_not_a_number_shows() -> None:
    weight = drawn(4, 64)
    weight[0] = 0.25
    weight[1] = 0.0
    weight[2, 5] = float("nan")
    found = store_rounded(weight, 4, 64).weight(torch.float32)
    assert torch.equal(found[:2], weight[:2].float())
    assert found[2].isnan().all()
    assert not found[3].isnan().any()


def test_it_is_stored_nearly_as_it_is_rounded() -> None:
    weight = drawn(4, 128)
    assert torch.allclose(store_rounded(weight, 3, 64).weight(torch.float32), round_to_nearest(weight, 3), atol=2e-3)


@pytest.mark.parametrize(("columns", "group"), [(96, 64), (96, 100)])
def test_a_row_must_be_cut_evenly(columns: int, group: int) -> None:
    with pytest.raises(ValueError, match=f"{columns} columns cannot be cut into groups of {group}"):
        store_rounded(drawn(4, columns), 4, group)
