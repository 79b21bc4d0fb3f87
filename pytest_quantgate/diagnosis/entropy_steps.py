"""Attention entropy along an answer: whether heads still choose where to look, token by token.

Imports torch: import it only to diagnose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Final, Literal, get_args

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Group
from pytest_quantgate.diagnosis.probes.attention import normalized_entropy

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Chosen, Point
    from pytest_quantgate.diagnosis.running import Runner

STEPS: Final = 64
"""Most tokens of an answer that are looked at."""

_MEASURE: Final = "attention_entropy_steps"


def entropy_steps(
    runner: Runner, chosen: Chosen, side: Literal["reference", "candidate"], told: Callable[[int], None]
) -> dict[str, Tensor]:
    """Normalized attention entropy of the newest token, at each step of what a variant itself answered.

    Each answer is read again in one pass behind its prompt (teacher forcing), and attention is that of the token that
    the step's token was chosen behind: at step 1 the prompt's last one. A number is the mean over heads and layers
    (Zhou et al., section 4.1.1, along the generation).

    Args:
        runner: The variant.
        chosen: The cases.
        side: Which of both it is.
        told: Called with 1 after each case.

    Returns:
        By case id ``(steps,)`` in float32, of no step where the answer is empty.
    """
    found = {}
    for point in chosen.points:
        answers = chosen.answers[point.case_id]
        answer = (answers.reference if side == "reference" else answers.candidate)[:STEPS]
        prompt = point.token_ids[: point.prompt_tokens]
        found[point.case_id] = _along(runner, prompt, answer) if answer else torch.empty(0)
        told(1)
    return found


def entropy_curves(
    points: Sequence[Point], steps: Mapping[str, Tensor], side: Literal["reference", "candidate"]
) -> Measured:
    """The means over answers at each step, as far as at least half of them go: no end rests on a few long ones.

    Args:
        points: The cases that count.
        steps: What ``entropy_steps`` gave; may hold others too.
        side: Whose answers they are.

    Returns:
        A curve for each group that has an answer.
    """
    along: dict[Group, list[Tensor]] = {group: [] for group in get_args(Group)}
    broken = empty = 0
    for point in points:
        found = steps[point.case_id]
        if not len(found):
            empty += 1
        elif found[point.prompt_tokens == 1 :].isfinite().all():  # what sees itself alone has no entropy
            along["degraded" if point.degraded else "preserved"].append(found)
        else:
            broken += 1
    return Measured(
        curves=tuple(_curve(group, side, each) for group, each in along.items() if each),
        notes=tuple(
            f"attention entropy along the answer: {count} of {len(points)} answers of the {side} {why}"
            for count, why in ((empty, "are empty"), (broken, "have attention that is no number"))
            if count
        ),
    )


def _along(runner: Runner, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """The mean over heads and layers at each step, ``(steps,)`` in float32; NaN where one position is all there is."""
    begin = len(prompt) - 1
    seen = torch.arange(begin, begin + len(answer))[:, None] + 1
    total = torch.zeros(len(answer))

    def add(_: int, rows: Tensor) -> None:
        total.add_(normalized_entropy(rows.cpu().transpose(0, 1), seen).mean(dim=-1))

    runner.attention((*prompt, *answer[:-1]), begin, add)
    return total / runner.n_layers


def _curve(group: Group, side: Literal["reference", "candidate"], along: Sequence[Tensor]) -> Curve:
    padded = pad_sequence(list(along), batch_first=True, padding_value=torch.nan)
    longest = torch.tensor([len(steps) for steps in along]).sort(descending=True).values
    reached = int(longest[(len(along) - 1) // 2])
    means = padded.nanmean(dim=0)[:reached].tolist()
    return Curve(
        measure=_MEASURE,
        group=group,
        side=side,
        place="answer",
        at=tuple(range(1, reached + 1)),
        values=tuple(None if isnan(mean) else mean for mean in means),
        count=len(along),
    )
