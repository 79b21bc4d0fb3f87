"""Attention: entropy of known rows, divergence of equal and of disjoint ones, and both under noise of known size."""

from __future__ import annotations

from math import exp, log, log2, pi, sqrt

import pytest
import torch
from scipy.integrate import quad
from scipy.spatial.distance import jensenshannon

from pytest_quantgate.diagnosis.probes.attention import divergence, normalized_entropy
from tests.unit.diagnosis.probes.chance import normal


@pytest.mark.parametrize(
    ("row", "positions", "entropy"),
    [
        ([0.25, 0.25, 0.25, 0.25], 4, 1.0),
        ([0.0, 1.0, 0.0, 0.0], 4, 0.0),
        ([0.5, 0.5, 0.0, 0.0], 4, 0.5),
        ([0.5, 0.5, 0.0, 0.0], 2, 1.0),  # what is behind the query's own position does not count
    ],
)
def test_the_entropy_of_known_rows(row: list[float], positions: int, entropy: float) -> None:
    assert float(normalized_entropy(torch.tensor(row), positions)) == pytest.approx(entropy)


def test_one_position_leaves_nothing_to_choose() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.9999999, 0.0], [0.5, 0.5]])
    found = normalized_entropy(rows, torch.tensor([1, 1, 2]))
    assert found.isnan().tolist() == [True, True, False]
    assert normalized_entropy(rows, 1).isnan().all()


def test_each_row_has_positions_of_its_own() -> None:
    steps = torch.stack([torch.arange(6) < positions for positions in (2, 3, 6)]).float()
    rows = (steps / steps.sum(dim=-1, keepdim=True))[:, None].expand(3, 4, 6)
    found = normalized_entropy(rows, torch.tensor([[2], [3], [6]]))
    assert found == pytest.approx(torch.ones(3, 4))


def test_even_attention_never_exceeds_one() -> None:
    rows = torch.full((1000,), 1 / 997)[:997]
    assert float(normalized_entropy(rows, 997)) <= 1


def test_equal_rows_do_not_diverge_and_disjoint_ones_do_by_a_bit() -> None:
    rows = normal(3, 5, 40).softmax(dim=-1)
    assert torch.equal(divergence(rows, rows), torch.zeros(3, 5))
    left, right = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert float(divergence(left, right)) == 1


def test_a_known_divergence() -> None:
    # H(3/4, 1/4) less half of H(1/2, 1/2)
    assert float(divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]))) == pytest.approx(0.3112781)


def test_the_divergence_is_symmetric_and_scipys() -> None:
    p, q = (normal(20, 30, seed=seed).mul(3).softmax(dim=-1) for seed in (1, 2))
    assert torch.equal(divergence(p, q), divergence(q, p))
    assert divergence(p, q).numpy() == pytest.approx(jensenshannon(p, q, base=2, axis=-1) ** 2, abs=1e-6)


def noisy(size: float, positions: int = 100_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Even attention, and the same with normal noise of so many nats in the logits."""
    return torch.full((positions,), 1 / positions), (size * normal(positions)).softmax(dim=-1)


def divergence_under_noise(size: float) -> float:
    """Of `noisy` for any number of positions: the integral over the noise z, which makes a weight r times as large."""

    def bits(z: float) -> float:
        r = exp(size * z - size**2 / 2)
        return exp(-(z**2) / 2) / sqrt(2 * pi) * (r * log2(2 * r / (1 + r)) + log2(2 / (1 + r))) / 2

    return float(quad(bits, -9, 9)[0])


@pytest.mark.parametrize("size", [0.1, 0.3, 1.0])
def test_noise_of_known_size_diverges_as_much_as_the_integral_says(size: float) -> None:
    even, attention = noisy(size)
    assert float(divergence(even, attention)) == pytest.approx(divergence_under_noise(size), rel=0.03)


def test_small_noise_diverges_with_its_square() -> None:
    even, attention = noisy(0.1)
    assert float(divergence(even, attention)) == pytest.approx(0.1**2 / (8 * log(2)), rel=0.03)


@pytest.mark.parametrize("size", [0.1, 0.3, 1.0])
def test_noise_of_known_size_takes_half_its_square_from_the_entropy(size: float) -> None:
    _, attention = noisy(size)  # weights are lognormal: H = ln t - size^2 / 2
    lost = (1 - float(normalized_entropy(attention, len(attention)))) * log(len(attention))
    assert lost == pytest.approx(size**2 / 2, rel=0.03)


def test_weights_next_to_nothing_are_no_fault() -> None:
    least = torch.tensor([1.0, 1e-45])
    assert float(divergence(least, torch.tensor([1.0, 0.0]))) == 0
    assert float(normalized_entropy(least, 2)) == pytest.approx(0, abs=1e-40)
