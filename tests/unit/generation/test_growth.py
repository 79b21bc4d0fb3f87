"""Four times as many prompts are four times as much work to put in order and into batches, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_quantgate.generation.prefill import next_batch, queue_of
from pytest_quantgate.generation.prompts import MIN_SHARED_TOKENS, Prompt
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule
from tests.operations import operations

COUNT = 200
TEXT = tuple(range(1000, 1000 + 2 * MIN_SHARED_TOKENS))


def apart(number: int) -> tuple[int, ...]:
    """Prompts of many lengths that share nothing."""
    return (number, *TEXT[: number % 37])


def about_one_text(number: int) -> tuple[int, ...]:
    return (*TEXT, number)


def about_many_texts(number: int) -> tuple[int, ...]:
    """Eight prompts about each text."""
    return (number // 8, *TEXT, number)


def alike(_number: int) -> tuple[int, ...]:
    return TEXT


def batches(prompts: Sequence[Prompt], schedule: Schedule) -> list[int]:
    """Sizes of the batches."""
    waiting = queue_of(prompts, schedule)
    sizes = []
    while waiting:
        sizes.append(len(next_batch(waiting, rows=16, tokens=2048)))
    return sizes


@pytest.mark.parametrize("schedule", [USUAL, another_schedule(kernels=False)], ids=str)
@pytest.mark.parametrize("tokens", [apart, about_one_text, about_many_texts, alike])
def test_the_work_of_batching_grows_with_the_prompts_and_no_faster(
    tokens: Callable[[int], tuple[int, ...]], schedule: Schedule
) -> None:
    few, many = ([Prompt(f"{number:04}", tokens(number), 8) for number in range(n)] for n in (COUNT, 4 * COUNT))
    assert sum(batches(many, schedule)) == 4 * COUNT
    assert operations(lambda: batches(many, schedule)) <= 4.4 * operations(lambda: batches(few, schedule))
