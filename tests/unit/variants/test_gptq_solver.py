from __future__ import annotations

import pytest
import torch

from pytest_quantgate.variants.gptq_solver import Hessian, Solution, solve
from pytest_quantgate.variants.rounding import round_to_nearest

INPUTS, OUTPUTS = 96, 40


@pytest.fixture(scope="module")
def weight() -> torch.Tensor:
    return torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    """Correlated, as activations are."""
    chance = torch.Generator().manual_seed(1)
    mixing = torch.eye(INPUTS) + 0.2 * torch.randn(INPUTS, INPUTS, generator=chance)
    return torch.randn(2000, INPUTS, generator=chance) @ mixing


def hessian_of(inputs: torch.Tensor) -> torch.Tensor:
    hessian = Hessian(INPUTS, inputs.device)
    for batch in inputs.reshape(4, -1, INPUTS):
        hessian.add(batch)
    return hessian.mean


def error_of(weight: torch.Tensor, rounded: torch.Tensor, inputs: torch.Tensor) -> float:
    return float((inputs @ (weight - rounded).T).square().mean())


def nearest(weight: torch.Tensor, solution: Solution) -> torch.Tensor:
    """Every weight on the level of its group's grid that is nearest."""
    groups = torch.arange(INPUTS) // solution.group
    scales = solution.scales.float()[:, groups]
    top = 2 * solution.zero - 1
    return ((weight / scales).round().clamp(-solution.zero, top - solution.zero)) * scales


@pytest.mark.parametrize("group", [32, 64, None])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_inputs_that_have_nothing_to_do_with_each_other_give_round_to_nearest(
    weight: torch.Tensor, bits: int, group: int | None
) -> None:
    solution = solve(weight, torch.eye(INPUTS), bits, group)
    assert torch.equal(solution.weight, nearest(weight, solution))


def test_the_least_layer_is_solved_as_by_hand() -> None:
    # The scale is 2 * 1 / 3. The first weight rounds from 1 to 2/3, the top level, and its error of 1/3 is made up for
    # by the second, whose input is nearly the same.
    hessian = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    solution = solve(torch.tensor([[1.0, 0.0]]), hessian, 2, None)
    assert solution.levels.tolist() == [[3, 2]]
    nudged = solve(torch.tensor([[1.0, 0.1]]), hessian, 2, None)
    assert nudged.levels.tolist() == [[3, 3]]  # 0.1 alone would be nearest to 0
    assert torch.allclose(nudged.weight, torch.tensor([[2 / 3, 2 / 3]]), atol=1e-3)


@pytest.mark.parametrize("group", [32, None])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_it_loses_less_than_rounding_to_nearest(
    weight: torch.Tensor, inputs: torch.Tensor, bits: int, group: int | None
) -> None:
    solution = solve(weight, hessian_of(inputs), bits, group)
    ours = error_of(weight, solution.weight, inputs)
    assert ours < 0.7 * error_of(weight, nearest(weight, solution), inputs)
    # though that grid need not be symmetric
    assert ours < error_of(weight, round_to_nearest(weight, bits, group or INPUTS), inputs)


def test_it_loses_more_the_fewer_the_bits_and_the_longer_the_groups(weight: torch.Tensor, inputs: torch.Tensor) -> None:
    hessian = hessian_of(inputs)
    errors = [error_of(weight, solve(weight, hessian, bits, 32).weight, inputs) for bits in (8, 4, 3, 2)]
    assert errors == sorted(errors)
    longer = [error_of(weight, solve(weight, hessian, 4, group).weight, inputs) for group in (16, 32, 96)]
    assert longer == sorted(longer)


def test_a_group_that_is_cut_off_has_a_scale_of_its_own(weight: torch.Tensor, inputs: torch.Tensor) -> None:
    solution = solve(weight, hessian_of(inputs), 4, 64)
    assert solution.scales.shape == (OUTPUTS, 2)
    assert solution.levels.shape == (OUTPUTS, INPUTS)


@pytest.mark.parametrize("kind", ["never seen", "all alike", "nothing"])
def test_inputs_that_say_little_do_no_harm(weight: torch.Tensor, inputs: torch.Tensor, kind: str) -> None:
    seen = inputs.clone()
    match kind:
        case "never seen":
            seen[:, :10] = 0
        case "all alike":
            seen[:] = seen[:1]
        case "nothing":
            seen[:] = 0
    solution = solve(weight, hessian_of(seen), 4, 32)
    assert bool(torch.isfinite(solution.weight).all())
    assert float((solution.weight - weight).abs().max()) < float(weight.abs().max())


def test_a_row_of_zeros_stays_one(inputs: torch.Tensor) -> None:
    assert not solve(torch.zeros(4, INPUTS), hessian_of(inputs), 4, 32).weight.any()


def test_activations_that_are_no_numbers_are_refused(weight: torch.Tensor, inputs: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="not finite numbers"):
        solve(weight, hessian_of(inputs * float("inf")), 4, 32)
