"""Probability, rank and entropy of a token: known distributions, ties, and logits that are no numbers."""

from __future__ import annotations

from math import inf, log, nan

import pytest
import torch

from pytest_quantgate.diagnosis.probes.lens import target_statistics
from tests.unit.diagnosis.probes.chance import normal


def test_a_known_distribution() -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log() + 7
    found = target_statistics(logits, 1)
    assert [float(each) for each in found] == pytest.approx([0.25, 2, 1.75 * log(2), log(0.25)])


def test_flat_logits_know_nothing() -> None:
    found = target_statistics(torch.zeros(50), 3)
    assert [float(each) for each in found] == pytest.approx([1 / 50, 50, log(50), -log(50)])


def test_a_sure_one_has_no_entropy() -> None:
    logits = torch.zeros(50)
    logits[3] = 1000
    assert [float(each) for each in target_statistics(logits, 3)] == [1, 1, 0, 0]
    assert float(target_statistics(logits, 4).log_probability) == -1000


def test_tokens_that_are_ruled_out_are_no_fault() -> None:
    found = target_statistics(torch.tensor([0.0, 0.0, -inf]), 0)
    assert [float(each) for each in found] == pytest.approx([0.5, 2, log(2), -log(2)])


@pytest.mark.parametrize("bad", [nan, inf])
def test_logits_that_are_no_numbers_give_none(bad: float) -> None:
    logits = normal(2, 9)
    logits[0, 5] = bad  # of a token that nobody asked for
    for each in target_statistics(logits, 2):
        assert each.isnan().tolist() == [True, False]


def test_logits_without_a_greatest_number_give_none() -> None:
    assert all(each.isnan() for each in target_statistics(torch.full((5,), -inf), 2))


def test_all_layers_at_once_and_in_any_precision() -> None:
    logits = normal(3, 4, 40).bfloat16()
    together = torch.stack(target_statistics(logits, 5), dim=-1)
    alone = torch.stack(target_statistics(logits[2, 1].float(), 5), dim=-1)
    assert together.shape == (3, 4, 4)
    assert together.dtype == torch.float32
    assert torch.equal(together[2, 1], alone)
