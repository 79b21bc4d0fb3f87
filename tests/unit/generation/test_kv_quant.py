"""Rounding of keys and values: known answers on the grid, extremes, and what it may not depend on."""

from __future__ import annotations

import pytest
import torch

from pytest_quantgate.generation.kv_quant import store_of
from pytest_quantgate.variants.kv import SCHEMES

LEVELS = {"int8": 256, "int4": 16, "int2": 4}


def random_states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("scheme", "levels"), LEVELS.items())
def test_numbers_on_the_grid_stay_and_others_go_to_the_nearest(scheme: str, levels: int) -> None:
    step, low = 0.5, -3.0
    grid = low + step * torch.arange(32).clamp(max=levels - 1)
    grid[-1] = low + step * (levels - 1)
    store = store_of(scheme)
    assert torch.equal(store(grid), grid)
    beside = grid.clone()
    beside[1] += 0.4 * step
    beside[2] -= 0.4 * step
    assert torch.equal(store(beside), grid)


@pytest.mark.parametrize(("scheme", "levels"), LEVELS.items())
def test_no_number_moves_by_more_than_half_a_step(scheme: str, levels: int) -> None:
    states = random_states(4, 3, 50, 64)
    groups = states.reshape(4, 3, 50, 2, 32)
    step = (groups.amax(-1) - groups.amin(-1)) / (levels - 1)
    moved = (store_of(scheme)(states) - states).reshape(groups.shape).abs().amax(-1)
    assert (moved <= step * 0.5 + 2e-3).all()  # the least and the greatest are rounded to fp16


def test_fp8_is_e4m3_with_the_greatest_of_a_group_at_its_largest_number() -> None:
    states = torch.zeros(32)
    states[:5] = torch.tensor([448.0, -448.0, 1.0625, 1.07, 17.0])
    expected = torch.zeros(32)
    expected[:5] = torch.tensor([448.0, -448.0, 1.0, 1.125, 16.0])  # 1.0625 and 17 are halfway: to even
    assert torch.equal(store_of("fp8")(states), expected)
    assert torch.equal(store_of("fp8")(states / 2**20), expected / 2**20)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("constant", [0.0, 1.5, -7.25, 60000.0])
def test_a_group_of_one_number_keeps_it(scheme: str, constant: float) -> None:
    states = torch.full((2, 64), constant)
    assert store_of(scheme)(states) == pytest.approx(states, rel=1e-3)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [1e-30, 1e-8, 1e-5, 1e-2, 1e4])
def test_numbers_of_any_size_stay_finite_and_near(scheme: str, size: float) -> None:
    states = random_states(8, 32) * size
    stored = store_of(scheme)(states)
    assert stored.isfinite().all()
    assert (stored - states).abs().max() <= max(3.5 * size, 1e-7)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_stays_so_and_in_its_group(scheme: str, bad: float) -> None:
    states = random_states(3, 64)
    expected = store_of(scheme)(states)
    states[1, 40] = bad
    stored = store_of(scheme)(states)
    assert not stored[1, 40].isfinite()
    untouched = torch.ones(3, 64, dtype=torch.bool)
    untouched[1, 32:] = False
    assert torch.equal(stored[untouched], expected[untouched])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_numbers_that_fp16_cannot_scale_do_not_pass_as_stored(scheme: str) -> None:
    states = torch.linspace(-1e30, 1e30, 32)
    assert not store_of(scheme)(states).isfinite().any()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [16, 20, 80, 96])
def test_every_token_and_head_is_rounded_by_itself(scheme: str, width: int) -> None:
    states = random_states(3, 2, 7, width)
    store = store_of(scheme)
    together = store(states)
    assert together.shape == states.shape
    for row, head, token in ((0, 0, 0), (1, 1, 3), (2, 0, 6)):
        assert torch.equal(store(states[row, head, token]), together[row, head, token])
    assert torch.equal(store(states[:, :, 2:5]), together[:, :, 2:5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    states = random_states(2, 64).to(dtype)
    for scheme in SCHEMES:
        assert store_of(scheme)(states).dtype == dtype
    assert store_of(None)(states) is states


def test_more_bits_move_numbers_less() -> None:
    states = random_states(100, 64)
    errors = {scheme: float((store_of(scheme)(states) - states).pow(2).mean()) for scheme in SCHEMES}
    assert errors["int8"] < errors["fp8"] < errors["int4"] < errors["int2"]
    # a uniform step's mean square error is its twelfth squared, and a bit less halves the step
    assert errors["int4"] / errors["int8"] == pytest.approx((255 / 15) ** 2, rel=0.1)
