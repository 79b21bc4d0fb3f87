"""Feed-forward neurons: flips under noise of known size, known sets of top neurons, and silence."""

from __future__ import annotations

from math import acos, pi

import pytest
import torch

from pytest_quantgate.diagnosis.probes.feed_forward import sign_flips, top_overlap
from tests.unit.diagnosis.probes.chance import normal


def test_flips_of_equal_and_of_opposite_gates() -> None:
    gate = normal(3, 100)
    assert torch.equal(sign_flips(gate, 5 * gate), torch.zeros(3))
    assert torch.equal(sign_flips(gate, -gate), torch.ones(3))


def test_a_gate_of_zero_is_closed() -> None:
    gate, dead = torch.tensor([1.0, 2.0, -1.0, -2.0]), torch.zeros(4)
    assert float(sign_flips(gate, dead)) == 0.5
    assert float(sign_flips(dead, dead)) == 0


@pytest.mark.parametrize("size", [0.1, 0.5, 1.0, 3.0])
def test_noise_flips_as_many_gates_as_the_angle_says(size: float) -> None:
    gate, noise = normal(100_000, seed=1), normal(100_000, seed=2)
    # of two normal numbers with correlation r the signs differ with probability acos(r) / pi
    expected = acos(1 / (1 + size**2) ** 0.5) / pi
    assert float(sign_flips(gate, gate + size * noise)) == pytest.approx(expected, abs=0.006)


def test_known_sets_of_top_neurons() -> None:
    ours, theirs = torch.zeros(2, 400)
    ours[[1, 2, 3, 4]] = torch.tensor([5.0, -5.0, 4.0, -3.0])
    theirs[[3, 4, 5, 6]] = torch.tensor([1.0, 1.0, -1.0, 2.0])
    assert float(top_overlap(ours, theirs)) == pytest.approx(2 / 6)
    assert float(top_overlap(ours, -7 * ours)) == 1
    assert float(top_overlap(ours, theirs, share=1 / 400)) == 0


def test_unrelated_activations_overlap_by_chance() -> None:
    overlap = top_overlap(normal(50, 2000, seed=1), normal(50, 2000, seed=2))
    assert float(overlap.mean()) == pytest.approx(0.005, abs=0.003)


def test_noise_takes_neurons_away() -> None:
    neurons, noise = normal(20, 2000, seed=1), normal(20, 2000, seed=2)
    overlaps = [float(top_overlap(neurons, neurons + size * noise).mean()) for size in (0, 0.1, 0.3, 1, 3)]
    assert overlaps[0] == 1
    assert overlaps == sorted(overlaps, reverse=True)


def test_what_ties_with_the_last_belongs_to_the_top_wherever_it_stands() -> None:
    neurons = torch.zeros(100)
    neurons[[10, 90]] = 1.0
    assert float(top_overlap(neurons, neurons.flip(0) + neurons, share=0.01)) == pytest.approx(2 / 4)


def test_the_silent_are_never_the_top() -> None:
    neurons, silent = normal(200), torch.zeros(200)
    assert float(top_overlap(neurons, silent)) == 0
    assert top_overlap(silent, silent).isnan()


def test_a_narrow_layer_has_one_top_neuron() -> None:
    assert float(top_overlap(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 0.0, 9.0]))) == 1
