"""The token that a model takes next. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Point
    from pytest_quantgate.diagnosis.running import Runner


def takes_target(runner: Runner, point: Point) -> bool:
    """Whether greedy decoding may take a point's target: no token has a greater logit.

    In half precision several often share the greatest one, and which of them is taken may depend on what is computed
    beside it.

    Args:
        runner: The model.
        point: Where.
    """
    logits = _logits(runner, point.token_ids)
    return bool(logits[point.target] == logits.max())


def end_token(runner: Runner, stops: Collection[int], token_ids: Sequence[int]) -> int | None:
    """The token that a model would end its answer with: the most probable of those that end one.

    Args:
        runner: The model.
        stops: What ends an answer; those that it has no logit of are left out.
        token_ids: Everything before the end; at least one.

    Returns:
        None where nothing ends its answers.
    """
    logits = _logits(runner, token_ids) if stops else torch.empty(0)
    known = sorted(each for each in stops if 0 <= each < len(logits))
    return known[int(logits[known].argmax())] if known else None


def _logits(runner: Runner, token_ids: Sequence[int]) -> torch.Tensor:
    """``(vocabulary,)`` behind some tokens."""
    return runner.read(token_ids, runner.memory())[-1]
