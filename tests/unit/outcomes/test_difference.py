from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantgate.cases.model import CheckSpec, Turn
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.difference import first_difference, turns_of
from pytest_quantgate.outcomes.model import Comparison, Outcome
from tests.unit.outcomes.build import case, comparison, outcome


@pytest.mark.parametrize(
    ("before", "after", "index"),
    [((), (), None), ((1, 2), (1, 2), None), ((1, 2), (1, 3), 1), ((1, 2), (1,), 1), ((), (1,), 0)],
)
def test_the_first_token_that_differs(before: tuple[int, ...], after: tuple[int, ...], index: int | None) -> None:
    first, second = (Completion("text", tokens, "stop", 3) for tokens in (before, after))
    assert first_difference(first, second) == index


def test_a_case_of_one_turn_is_its_only_turn() -> None:
    single = comparison("+", "-")
    assert turns_of(single) == [single]


def test_each_turn_is_a_comparison_of_what_it_asked() -> None:
    checks = (CheckSpec("json"),)
    asked = replace(case(), later=(Turn("Again.", checks, 8),))
    first, second = outcome("+", text="one"), outcome("-", text="two", names=["json"])
    whole = Outcome(first.completion, first.results + second.results, passed=False, turns=(first, second))
    turns = turns_of(Comparison(asked, whole, whole))

    assert [(each.reference, each.candidate) for each in turns] == [(first, first), (second, second)]
    assert [each.case.checks for each in turns] == [asked.checks, checks]
    assert [message.content for message in turns[1].case.messages] == ["Say something.", "one", "Again."]
