from __future__ import annotations

import pytest

from pytest_quantgate.plural import counted


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 answers"), (1, "1 answer"), (2, "2 answers"), (2_000_000, "2000000 answers")],
)
def test_one_thing_has_no_plural(number: int, told: str) -> None:
    assert counted(number, "answer") == told


@pytest.mark.parametrize(("number", "told"), [(1.0, "1 minute"), (0.5, "0.5 minutes"), (10.0, "10 minutes")])
def test_parts_of_a_thing_do(number: float, told: str) -> None:
    assert counted(number, "minute") == told
