"""Principal subspaces: the same, orthogonal, turned by a known angle, unrelated, and under noise of known size."""

from __future__ import annotations

from math import cos, pi, sin

import pytest
import torch

from pytest_quantgate.diagnosis.probes.similarity import centered
from pytest_quantgate.diagnosis.probes.subspace import (
    error_alignment,
    rank_of_energy,
    spectrum_of,
    subspace_similarity,
)
from tests.unit.diagnosis.probes.chance import normal, rotation

CASES, WIDTH = 40, 576


def signal(directions: torch.Tensor, size: float = 1.0, seed: int = 0, cases: int = CASES) -> torch.Tensor:
    """Activations that vary in these orthogonal directions alone, with singular values of one size."""
    left: torch.Tensor = torch.linalg.qr(centered(normal(cases, len(directions), seed=seed))).Q
    return size * left @ directions


def test_the_spectrum_of_known_activations() -> None:
    left = torch.linalg.qr(centered(normal(CASES, 3))).Q
    x = left @ torch.diag(torch.tensor([5.0, 2.0, 1.0])) @ rotation(WIDTH)[:3] + 100
    found = spectrum_of(x)
    assert found.values[:3].tolist() == pytest.approx([5, 2, 1], abs=1e-3)
    assert (found.directions[:3] @ rotation(WIDTH)[:3].mT).abs() == pytest.approx(torch.eye(3), abs=1e-3)


def test_directions_that_do_not_exist_are_zeros() -> None:
    found = spectrum_of(signal(rotation(WIDTH)[:3]))
    assert (found.values > 0).sum() == 3
    assert not found.directions[3:].any()


@pytest.mark.parametrize(("share", "rank"), [(0.1, 1), (9 / 14 - 0.01, 1), (0.7, 2), (13 / 14 + 0.01, 3), (1.0, 3)])
def test_the_rank_that_holds_a_share_of_the_energy(share: float, rank: int) -> None:
    assert int(rank_of_energy(torch.tensor([3.0, 2.0, 1.0, 0.0]), share)) == rank


def test_ranks_of_several_layers_and_of_none() -> None:
    values = torch.tensor([[1.0, 1.0, 1.0, 1.0], [9.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    assert rank_of_energy(values, 0.75).tolist() == [3, 1, 0]


def test_the_same_subspace_however_cases_lie_in_it() -> None:
    x = signal(rotation(WIDTH)[:4])
    assert float(subspace_similarity(x, x, 4)) == pytest.approx(1, abs=1e-5)
    other = signal(rotation(4, seed=5) @ rotation(WIDTH)[:4], size=7, seed=6) + normal(WIDTH)
    assert float(subspace_similarity(x, other, 4)) == pytest.approx(1, abs=1e-4)


def test_orthogonal_subspaces_have_nothing_in_common() -> None:
    axes = rotation(WIDTH)
    assert float(subspace_similarity(signal(axes[:4]), signal(axes[4:8]), 4)) == pytest.approx(0, abs=1e-5)
    assert float(subspace_similarity(signal(axes[:4]), signal(axes[2:6]), 4)) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("angle", [0, pi / 6, pi / 4, pi / 2])
def test_subspaces_turned_by_a_known_angle(angle: float) -> None:
    axes = rotation(WIDTH)
    turned = cos(angle) * axes[:3] + sin(angle) * axes[3:6]
    assert float(subspace_similarity(signal(axes[:3]), signal(turned), 3)) == pytest.approx(cos(angle) ** 2, abs=1e-4)


def test_unrelated_subspaces_overlap_by_chance() -> None:
    x, y = normal(10, CASES, WIDTH, seed=1), normal(10, CASES, WIDTH, seed=2)
    for k in (1, 30):
        assert float(subspace_similarity(x, y, k).mean()) == pytest.approx(k / WIDTH, abs=0.004)


def kept(strength: float, cases: int) -> float:
    """Squared cosine that noise leaves a direction, for noise of variance 1 / width.

    Benaych-Georges and Nadakuditi, The singular values and vectors of low rank perturbations of large rectangular
    random matrices, 2012.
    """
    aspect = cases / WIDTH
    return 1 - (aspect + strength**2) / (strength**2 * (strength**2 + 1))


@pytest.mark.parametrize("strength", [1.0, 2.0, 4.0])
def test_noise_of_known_size_turns_the_subspace_as_theory_says_and_is_no_signal(strength: float) -> None:
    x = signal(rotation(WIDTH)[:3], strength).expand(10, CASES, WIDTH)
    y = x + normal(10, CASES, WIDTH, seed=1) / WIDTH**0.5
    assert float(subspace_similarity(x, y, 3).mean()) == pytest.approx(kept(strength, CASES), abs=0.02)
    assert float(error_alignment(x, y, 3).mean()) == pytest.approx(3 / WIDTH, abs=0.004)


def test_the_same_noise_turns_the_subspace_of_few_cases_further() -> None:
    found = []
    for cases in (10, CASES):
        x = signal(rotation(WIDTH)[:2], cases**0.5 / 3, cases=cases).expand(10, cases, WIDTH)
        y = x + normal(10, cases, WIDTH, seed=1) / WIDTH**0.5
        found.append(float(subspace_similarity(x, y, 2).mean()))
        assert found[-1] == pytest.approx(kept(cases**0.5 / 3, cases), abs=0.04)
    assert found[0] < found[1] - 0.2


def test_each_layer_has_a_rank_of_its_own() -> None:
    axes = rotation(WIDTH)
    x = torch.stack([signal(axes[:2]), signal(axes[:5])])
    y = torch.stack([signal(axes[1:3]), signal(axes[1:6])])
    assert subspace_similarity(x, y, torch.tensor([2, 5])).tolist() == pytest.approx([0.5, 0.8], abs=1e-4)


def test_directions_that_only_one_side_has_are_not_in_common() -> None:
    axes = rotation(WIDTH)
    assert float(subspace_similarity(signal(axes[:4]), signal(axes[:1]), 4)) == pytest.approx(0.25, abs=1e-4)
    assert float(subspace_similarity(signal(axes[:4]), torch.ones(CASES, WIDTH), 4)) == 0


def test_a_reference_without_enough_directions_leaves_it_undefined() -> None:
    x = signal(rotation(WIDTH)[:2])
    assert subspace_similarity(x, x, 3).isnan()
    assert subspace_similarity(x, x, 0).isnan()
    assert subspace_similarity(torch.ones(CASES, WIDTH), x, 1).isnan()


def test_an_error_within_the_signal_and_one_beside_it() -> None:
    axes = rotation(WIDTH)
    x = signal(axes[:4])
    assert float(error_alignment(x, x + 0.1 * signal(axes[1:3], seed=1), 4)) == pytest.approx(1, abs=1e-3)
    assert float(error_alignment(x, x + 0.1 * signal(axes[4:7], seed=1), 4)) == pytest.approx(0, abs=1e-3)


def test_the_error_of_vanished_activations_is_the_signal_and_of_unrelated_ones_half_of_it() -> None:
    axes = rotation(WIDTH)
    x = signal(axes[:4])
    assert float(error_alignment(x, torch.zeros_like(x), 4)) == pytest.approx(1, abs=1e-4)
    unrelated = torch.stack([signal(axes[4:8], seed=seed) for seed in range(1, 21)])
    assert float(error_alignment(x.expand_as(unrelated), unrelated, 4).mean()) == pytest.approx(0.5, abs=0.03)
    assert float(error_alignment(x.expand_as(unrelated), 100 * unrelated, 4).mean()) == pytest.approx(0, abs=0.03)


def test_an_error_that_is_the_same_for_all_cases_has_no_directions() -> None:
    x = signal(rotation(WIDTH)[:4])
    assert error_alignment(x, x, 4).isnan()
    assert error_alignment(torch.zeros(CASES, 8), torch.ones(CASES, 8), 1).isnan()
