"""Which token a model takes next: where several share the greatest logit, and where its answer ends."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis.next_token import end_token, takes_target
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from tests.unit.diagnosis.families import TOKENS, VOCABULARY, tiny


@pytest.fixture(scope="module")
def tied() -> tuple[Runner, list[int]]:
    """A model in bfloat16 two of whose tokens share the greatest logit; and its tokens, the most probable first."""
    model: Any = deepcopy(tiny("Llama")).to(torch.bfloat16)
    runner = Runner(model)
    order = logits(runner).argsort(descending=True).tolist()
    model.lm_head.weight[order[1]] = model.lm_head.weight[order[0]]
    return runner, order


def logits(runner: Runner) -> torch.Tensor:
    return runner.read(TOKENS, runner.memory())[-1]


def test_a_token_that_shares_the_greatest_logit_is_taken(tied: tuple[Runner, list[int]]) -> None:
    runner, order = tied
    taken = [takes_target(runner, Point("a", True, TOKENS, each, None, (), len(TOKENS))) for each in order]  # noqa: FBT003
    assert taken == [True, True, *[False] * (VOCABULARY - 2)]


def test_the_most_probable_of_several_tokens_ends_an_answer(tied: tuple[Runner, list[int]]) -> None:
    runner, order = tied
    assert end_token(runner, frozenset(order[5:]), TOKENS) == order[5]
    assert end_token(runner, frozenset({order[9]}), TOKENS) == order[9]


def test_what_the_model_does_not_know_ends_no_answer(tied: tuple[Runner, list[int]]) -> None:
    runner, order = tied
    assert end_token(runner, frozenset({VOCABULARY, -1, order[7]}), TOKENS) == order[7]
    assert end_token(runner, frozenset({VOCABULARY}), TOKENS) is None
    assert end_token(runner, frozenset(), TOKENS) is None
