"""Cosine and CKA: equal, rotated, orthogonal and unrelated activations, and noise of known size."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from scipy.linalg import hadamard

from pytest_quantgate.diagnosis.probes.similarity import centered, cka_grid, cosine, linear_cka
from tests.unit.diagnosis.probes.chance import normal, rotation

CASES, WIDTH = 40, 576


def biased(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """CKA as Kornblith et al. define it, in its feature form."""
    x, y = centered(x), centered(y)
    across, ours, theirs = (each.square().sum(dim=(-2, -1)) for each in (x.mT @ y, x.mT @ x, y.mT @ y))
    return across / (ours * theirs).sqrt()


def hsic(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """The unbiased estimate as Song et al. write it."""
    n = len(k)
    k, m = (each - torch.diag(each.diagonal()) for each in (k, m))
    product = k @ m
    three = product.trace() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * product.sum()
    return three / (n * (n - 3))


def test_cosines_of_known_angles() -> None:
    a = torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]])
    b = torch.tensor([[6.0, 8.0], [4.0, -3.0], [-3.0, -4.0]])
    assert cosine(a, b).tolist() == pytest.approx([1, 0, -1])


def test_rounding_leads_to_no_cosine_above_one() -> None:
    a = normal(1000, 50)
    assert cosine(a, a).max() == 1
    assert cosine(a, -a).min() == -1


def test_zeros_have_no_direction() -> None:
    assert cosine(torch.zeros(4), torch.ones(4)).isnan()


@pytest.mark.parametrize("size", [0.1, 1.0, 5.0])
def test_noise_turns_by_a_known_angle(size: float) -> None:
    a, noise = normal(100_000, seed=1), normal(100_000, seed=2)
    assert float(cosine(a, a + size * noise)) == pytest.approx(1 / sqrt(1 + size**2), abs=0.02)


def test_centering_equal_rows_leaves_zeros() -> None:
    rows = (normal(1, WIDTH) * 1e4).expand(CASES, WIDTH)
    assert not centered(rows).any()
    assert centered(normal(CASES, WIDTH) + 3).mean(dim=0).abs().max() < 1e-5


def test_cka_is_one_under_rotation_shift_and_scale() -> None:
    x = normal(CASES, WIDTH)
    assert float(linear_cka(x, x)) == pytest.approx(1)
    assert float(linear_cka(x, 3 * x @ rotation(WIDTH) + normal(WIDTH))) == pytest.approx(1, abs=1e-4)


def test_a_linear_map_that_stretches_is_seen() -> None:
    x = normal(CASES, WIDTH)
    stretched = x * torch.linspace(0, 3, WIDTH) ** 4
    assert float(linear_cka(x, stretched)) < 0.7


def test_unrelated_activations_score_nothing_where_the_biased_estimate_is_nearly_one() -> None:
    x, y = normal(20, CASES, WIDTH, seed=1), normal(20, CASES, WIDTH, seed=2)
    assert float(biased(x, y).mean()) == pytest.approx(WIDTH / (WIDTH + CASES), abs=0.01)
    spread = 1 / sqrt(CASES * (CASES - 3) / 2)
    assert float(linear_cka(x, y).mean()) == pytest.approx(0, abs=3 * spread / sqrt(20))
    assert float(linear_cka(x, y).std()) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("cases", [10, CASES])
@pytest.mark.parametrize("size", [0.1, 0.5, 1.0, 2.0])
def test_noise_of_known_size_whatever_the_number_of_cases(size: float, cases: int) -> None:
    x, noise = normal(20, cases, WIDTH, seed=1), normal(20, cases, WIDTH, seed=2)
    assert float(linear_cka(x, x + size * noise).mean()) == pytest.approx(1 / (1 + size**2), abs=0.06)


def test_it_is_the_ratio_of_unbiased_estimates() -> None:
    x, y = normal(7, 20, seed=1), normal(7, 5, seed=2)
    k, m = x @ x.mT, y @ y.mT
    assert float(linear_cka(x, y)) == pytest.approx(float(hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt()), abs=1e-5)


def test_gram_matrices_that_are_orthogonal_score_nothing() -> None:
    # 15 centered directions of 16 cases: where 3 and 5 of them share one, which is what chance leaves them, the
    # U-centered Gram matrices are exactly orthogonal
    directions = torch.from_numpy(hadamard(16)).float()
    assert float(linear_cka(directions[:, 1:4], directions[:, 3:8])) == pytest.approx(0, abs=1e-6)


def test_less_in_common_than_chance_leaves_scores_below_nothing() -> None:
    directions = torch.from_numpy(hadamard(16)).float()
    one, other = directions[:, 1:2], directions[:, 2:3]
    assert float(biased(one, other)) == 0
    assert float(linear_cka(one, other)) == pytest.approx(-1 / 14)  # -1 / (n - 2)


def test_with_many_cases_both_estimates_agree() -> None:
    x = normal(800, 12, seed=1) * torch.arange(12)
    y = x @ normal(12, 9, seed=2) + 5 * normal(800, 9, seed=3)
    assert float(linear_cka(x, y)) == pytest.approx(float(biased(x, y)), abs=0.01)


def test_the_order_of_cases_matters_only_between_sides() -> None:
    x, y = normal(CASES, 50, seed=1), normal(CASES, 50, seed=1) + normal(CASES, 50, seed=2)
    order = torch.randperm(CASES, generator=torch.Generator().manual_seed(3))
    assert float(linear_cka(x[order], y[order])) == pytest.approx(float(linear_cka(x, y)), abs=1e-5)
    assert float(linear_cka(x[order], y)) < 0.3


def test_where_there_is_nothing_to_align_it_is_undefined() -> None:
    x = normal(CASES, WIDTH)
    alike = normal(1, WIDTH).expand(CASES, WIDTH)
    odd_one_out = torch.cat((alike[1:], normal(1, WIDTH, seed=3)))
    equally_unlike = torch.eye(CASES)
    for flat in (alike, odd_one_out, equally_unlike):
        assert linear_cka(x, flat).isnan()


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 cases, not 3"):
        linear_cka(normal(3, 8), normal(3, 8))


def test_the_grid_is_every_pair() -> None:
    xs, ys = normal(3, CASES, 30, seed=1), normal(2, CASES, 30, seed=2)
    ys[1] = xs[2]
    grid = cka_grid(xs, ys)
    pairs = [[float(linear_cka(x, y)) for y in ys] for x in xs]
    assert grid == pytest.approx(torch.tensor(pairs), abs=1e-5)
    assert float(grid[2, 1]) == pytest.approx(1)
