"""What a log says of how far generation has come."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from pytest_quantgate.generation.progress import RichProgress


@pytest.mark.parametrize(
    ("answers", "tokens", "told"),
    [
        (1, 1, ["1 answer to generate, 0 cached", "1 of 1 answer, 1 token in S s", "1 answer cached"]),
        (2, 9, ["2 answers to generate, 0 cached", "2 of 2 answers, 9 tokens in S s", "all 2 answers cached"]),
    ],
)
def test_a_log_counts_answers_and_tokens(answers: int, tokens: int, told: list[str]) -> None:
    page = StringIO()
    progress = RichProgress(Console(file=page, width=120))
    progress.start("fp16", answers, 0)
    progress.advance(answers, tokens)
    progress.finish()
    progress.start("fp16", answers, answers)
    assert re.sub(r"in \d+ s", "in S s", page.getvalue()).splitlines() == [f"fp16: {each}" for each in told]
