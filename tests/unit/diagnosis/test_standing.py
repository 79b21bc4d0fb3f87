"""Places of a token among known logits."""

from __future__ import annotations

from math import inf, nan

import torch

from pytest_quantgate.diagnosis.standing import standing


def test_a_token_stands_behind_all_that_are_greater_and_shares_its_place_with_its_equals() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 2.0], [1.0, 4.0, 4.0, 4.0], [-inf, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    assert standing(logits, 2).tolist() == [2.5, 2.0, 2.0, 2.5]
    assert standing(logits, 0).tolist() == [1.0, 4.0, 4.0, 2.5]
    assert standing(logits.bfloat16()[0], 3).item() == 2.5


def test_it_stands_nowhere_where_logits_are_not_numbers() -> None:
    logits = torch.tensor([[nan, 1.0, 2.0], [inf, 1.0, 2.0], [-inf, -inf, -inf]])
    assert standing(logits, 2).tolist() == [inf] * 3
