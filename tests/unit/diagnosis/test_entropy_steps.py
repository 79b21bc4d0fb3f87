"""Attention entropy along an answer: known attention, a true model, and answers that tell nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis.entropy_steps import STEPS, entropy_curves, entropy_steps
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Sample
from pytest_quantgate.diagnosis.points import Answers, Chosen, Point
from pytest_quantgate.diagnosis.running import Runner
from tests.unit.diagnosis.families import TOKENS, tiny

Attention = Callable[[int, int, int], torch.Tensor]
"""The row of one layer, head and position."""


class Watched:
    """A runner of two layers and two heads whose attention is known."""

    n_layers = 2

    def __init__(self, row: Attention) -> None:
        self.row = row
        self.read: list[tuple[tuple[int, ...], int]] = []

    def attention(self, token_ids: Sequence[int], begin: int, take: Callable[[int, torch.Tensor], None]) -> None:
        self.read.append((tuple(token_ids), begin))
        for layer in range(2):
            rows = torch.zeros(2, len(token_ids) - begin, len(token_ids))
            for head in range(2):
                for position in range(begin, len(token_ids)):
                    rows[head, position - begin, : position + 1] = self.row(layer, head, position)
            take(layer, rows)


def evenly(_layer: int, _head: int, position: int) -> torch.Tensor:
    return torch.full((position + 1,), 1 / (position + 1))


def at_one(_layer: int, _head: int, position: int) -> torch.Tensor:
    return torch.eye(position + 1)[0]


def point(name: str, prompt: tuple[int, ...], *, degraded: bool = True) -> Point:
    return Point(name, degraded, prompt, target=5, rival=None, following=(), prompt_tokens=len(prompt))


def chosen(*answers: tuple[int, ...]) -> Chosen:
    """Cases that broke, with the same prompt and these answers: the candidate's the other way round."""
    both = {str(number): Answers(answer, answer[::-1]) for number, answer in enumerate(answers)}
    return Chosen(tuple(point(name, (10, 11, 12)) for name in both), Sample((), ()), both, frozenset())


def measured(runner: Any, cases: Chosen, side: Any = "reference") -> Measured:
    return entropy_curves(cases.points, entropy_steps(runner, cases, side, lambda _: None), side)


@pytest.mark.parametrize(
    ("row", "entropy"),
    [
        (evenly, 1.0),
        (at_one, 0.0),
        (lambda layer, head, at: evenly(layer, head, at) if layer else at_one(layer, head, at), 0.5),
        (lambda layer, head, at: evenly(layer, head, at) if layer and head else at_one(layer, head, at), 0.25),
    ],
    ids=["even", "one", "a layer", "a head"],
)
def test_the_mean_over_heads_and_layers_of_what_each_token_attends_to(row: Attention, entropy: float) -> None:
    (curve,) = measured(Watched(row), chosen((7, 8, 9))).curves
    assert curve.at == (1, 2, 3)
    assert curve.values == pytest.approx((entropy,) * 3)
    assert (curve.measure, curve.group, curve.side, curve.place, curve.count) == (
        *("attention_entropy_steps", "degraded", "reference", "answer"),
        1,
    )


def test_each_side_reads_its_own_answer_behind_the_prompt() -> None:
    for side, answer in (("reference", (7, 8)), ("candidate", (9, 8))):
        runner = Watched(evenly)
        (curve,) = measured(runner, chosen((7, 8, 9)), side).curves
        assert runner.read == [((10, 11, 12, *answer), 2)]
        assert curve.side == side


def test_a_group_each_and_a_step_is_the_mean_of_the_answers_that_reach_it() -> None:
    by_prompt = Watched(lambda layer, head, at: (evenly if at > 2 else at_one)(layer, head, at))
    cases = chosen((7, 8, 9, 3), (7, 8, 9), (7,))
    both = Chosen(
        (*cases.points, point("p", (10,), degraded=False)),
        cases.sample,
        {**cases.answers, "p": Answers((4,), ())},
        frozenset(),
    )
    broken, contrast = measured(by_prompt, both).curves
    assert (broken.group, contrast.group) == ("degraded", "preserved")
    assert (broken.at, broken.count) == ((1, 2, 3), 3)  # one of three goes on to a fourth
    assert broken.values == pytest.approx((0, 1, 1))
    assert contrast.values == (None,)  # its one position can see itself alone


def test_long_answers_are_cut() -> None:
    runner = Watched(evenly)
    (curve,) = measured(runner, chosen((7,) * (STEPS + 9))).curves
    assert len(curve.at) == STEPS
    assert len(runner.read[0][0]) == 3 + STEPS - 1


def test_what_tells_nothing_is_noted_and_not_averaged() -> None:
    def torn(_layer: int, head: int, position: int) -> torch.Tensor:
        return torch.full((position + 1,), torch.nan) if head and position > 4 else evenly(0, head, position)

    found = measured(Watched(torn), chosen((), (7, 8), (7, 8, 9, 3)))
    assert [curve.count for curve in found.curves] == [1]
    assert found.notes == (
        "attention entropy along the answer: 1 of 3 answers of the reference are empty",
        "attention entropy along the answer: 1 of 3 answers of the reference have attention that is no number",
    )


def test_cases_that_are_left_out_later_are_in_no_mean() -> None:
    def by_answer(_layer: int, _head: int, position: int) -> torch.Tensor:
        return evenly(0, 0, position) if len(runner.read) > 1 else at_one(0, 0, position)

    runner = Watched(by_answer)
    cases = chosen((7, 8), (7, 9), ())
    steps = entropy_steps(runner, cases, "reference", lambda _: None)  # type: ignore[arg-type]
    found = entropy_curves(cases.points[1:2], steps, "reference")
    (curve,) = found.curves
    assert (curve.count, found.notes) == (1, ())
    assert curve.values == pytest.approx((1, 1))


def test_every_case_is_told() -> None:
    told: list[int] = []
    entropy_steps(Watched(evenly), chosen((), (7,), (8,)), "candidate", told.append)  # type: ignore[arg-type]
    assert told == [1, 1, 1]


@pytest.mark.parametrize("family", ["Llama", "Mistral"])
def test_a_model_attends_in_one_pass_as_it_did_step_by_step(family: str) -> None:
    model, prompt, answer = tiny(family, seed=7), TOKENS[:4], TOKENS[4:]
    cases = Chosen((point("a", prompt),), Sample((), ()), {"a": Answers(answer, ())}, frozenset())
    (curve,) = measured(Runner(model), cases).curves
    model.set_attn_implementation("eager")
    for step, value in enumerate(curve.values):
        read = torch.tensor([TOKENS[: len(prompt) + step]])
        with torch.no_grad():
            layers = model(read, output_attentions=True).attentions
        rows = torch.stack([layer[0, :, -1] for layer in layers])
        even = torch.tensor(float(read.shape[1])).log()
        assert value == pytest.approx(float((torch.special.entr(rows).sum(dim=-1) / even).mean()), abs=1e-5)
