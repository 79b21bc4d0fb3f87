"""Where two answers part, what the reference would have said there, and what the candidate said."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from pytest_quantgate.cases.model import CheckSpec, Turn
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.diagnosis.parting import (
    EMPTY,
    END,
    NO_END,
    NO_TOKENS,
    NOT_MEASURED,
    SAME_TOKENS,
    Spot,
    where_it_broke,
    where_least_sure,
)
from pytest_quantgate.outcomes.model import Comparison, Outcome
from tests.unit.diagnosis.answered import answered, asked, degraded, preserved

CASE = asked("a")
FACT = asked("fact", checks=(CheckSpec("recall", {"answer": "Paris"}),))


def told(comparison: Comparison) -> tuple[tuple[int, ...], int, int | None, tuple[int, ...]]:
    spot = where_it_broke(comparison)
    assert isinstance(spot, Spot)
    return spot.shared, spot.target, spot.rival, spot.following


def recall(*ranks: int, text: str = "Paris", tokens: tuple[int, ...] = (), log: float = -0.5) -> Recall:
    tokens = tokens or tuple(range(20, 20 + len(ranks)))
    return Recall(text, tokens, ranks, (0,) * len(ranks), (log,) * len(ranks))


def knew(before: Recall, after: Recall, said: tuple[int, ...] = (9,)) -> Comparison:
    comparison = degraded(FACT, (20,), said, recall=(before,))
    return replace(comparison, candidate=answered(FACT, said, passed=False, recall=(after,) if after.text else ()))


# Degraded cases


def test_the_first_token_that_differs() -> None:
    assert told(degraded(CASE, (5, 6, 7, 8), (5, 6, 9, 8))) == ((5, 6), 7, 9, (8,))
    assert told(degraded(CASE, (5, 6), (9, 6))) == ((), 5, 9, (6,))


def test_a_candidate_that_stopped_said_the_end_and_one_that_was_cut_off_nothing() -> None:
    stopped = degraded(CASE, (5, 6, 7), (5,))
    assert told(stopped) == ((5,), 6, END, (7,))
    cut_off = replace(stopped.candidate.completion, finish_reason="length")
    assert told(replace(stopped, candidate=replace(stopped.candidate, completion=cut_off))) == ((5,), 6, None, (7,))


def test_a_reference_that_stopped_said_the_end() -> None:
    assert told(degraded(CASE, (5, 6), (5, 6, 7, 8))) == ((5, 6), END, 7, ())
    assert where_it_broke(degraded(CASE, (5, 6), (5, 6, 7), ended="length")) == NO_END


def test_answers_that_cannot_be_told_apart_have_no_place() -> None:
    known = degraded(CASE, (5, 6), (5, 7))
    text = replace(known.candidate, completion=replace(known.candidate.completion, token_ids=()))
    assert where_it_broke(replace(known, candidate=text)) == NO_TOKENS
    assert where_it_broke(degraded(CASE, (5, 6), (5, 6))) == SAME_TOKENS


def in_turns(
    *pairs: tuple[tuple[int, ...], tuple[int, ...]], passed: bool = False, margins: tuple[tuple[float, ...], ...] = ()
) -> Comparison:
    """A case of as many turns, by both answers to each; with the reference's margins in each."""
    case = replace(CASE, later=(Turn("More?", CASE.checks, 8),) * (len(pairs) - 1))
    sure = margins or ((),) * len(pairs)
    before = tuple(answered(CASE, mine, margins=each) for (mine, _), each in zip(pairs, sure, strict=True))
    after = tuple(answered(CASE, theirs, passed=passed) for _, theirs in pairs)
    sides = [
        Outcome(turns[0].completion, turns[0].results * len(pairs), turns[0].passed, turns=turns)
        for turns in (before, after)
    ]
    return Comparison(case, *sides)


def test_of_several_turns_the_first_that_differs_is_asked_behind_the_answers_before_it() -> None:
    spot = where_it_broke(in_turns(((5,), (5,)), ((6, 7), (6, 8)), ((3,), (4,))))
    assert isinstance(spot, Spot)
    assert (spot.shared, spot.target, spot.rival) == ((6,), 7, 8)
    assert [message.content for message in spot.turn.case.messages] == ["Say it.", "5", "More?"]


# Degraded cases that broke on what they should recall


def test_a_recall_broke_at_the_token_that_slipped() -> None:
    assert told(knew(recall(1), recall(4))) == ((), 20, 9, ())
    assert told(knew(recall(1, 1, 1), recall(1, 7, 1), (20, 9))) == ((20,), 21, 9, (22,))
    spot = where_it_broke(knew(recall(1), recall(4)))
    assert isinstance(spot, Spot)
    assert spot.recalled


def test_behind_another_beginning_the_candidates_token_is_not_known() -> None:
    assert told(knew(recall(1, 1), recall(1, 7), (8, 9))) == ((20,), 21, None, ())
    assert told(knew(recall(1, 1), recall(1, 7), (20,))) == ((20,), 21, END, ())


def test_a_text_that_is_only_too_improbable_broke_at_its_first_token() -> None:
    assert told(knew(recall(1, 1), recall(1, 1, log=-9.0), (20, 21))) == ((), 20, None, (21,))


def test_of_several_texts_it_is_the_one_that_the_reference_knew_best() -> None:
    known, other = recall(1, tokens=(30,), text="Paris"), recall(2, tokens=(31,), text="Lutetia")
    lost = tuple(replace(each, ranks=(9,)) for each in (other, known))
    comparison = degraded(FACT, (30,), (8,), recall=(other, known))
    comparison = replace(comparison, candidate=answered(FACT, (8,), passed=False, recall=lost))
    assert told(comparison) == ((), 30, 8, ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (recall(1), recall(4, text="")),
        (recall(1), replace(recall(4), text="Rome")),
        (recall(1), Recall("Paris", problem="the logits were not finite numbers")),
        (recall(1), recall(4, tokens=(33,))),
        (recall(1), replace(recall(4), token_ids=(20, 21))),
        (Recall("Paris"), Recall("Paris")),
    ],
    ids=["none", "another", "problem", "other tokens", "torn", "empty"],
)
def test_a_text_that_was_not_measured_with_both_has_no_place(before: Recall, after: Recall) -> None:
    assert where_it_broke(knew(before, after)) == NOT_MEASURED


def test_a_case_that_recalls_and_broke_elsewhere_is_looked_at_where_its_answers_part() -> None:
    case = replace(FACT, checks=(*FACT.checks, CheckSpec("json")))
    comparison = degraded(case, (5, 6), (5, 7), recall=(recall(1),))
    results = (CheckResult("recall", followed=True, reason=""), CheckResult("json", followed=False, reason=""))
    assert told(replace(comparison, candidate=replace(comparison.candidate, results=results))) == ((5,), 6, 7, ())


# Preserved cases


def sure(comparison: Comparison) -> tuple[tuple[int, ...], int, int | None]:
    spot = where_least_sure(comparison)
    assert isinstance(spot, Spot)
    return spot.shared, spot.target, spot.rival


def test_contrast_is_looked_at_where_the_reference_was_least_sure() -> None:
    assert sure(preserved(CASE, (5, 6, 7), (5, 6, 7), margins=(2.0, 0.1, 0.5))) == ((5,), 6, None)


def test_behind_the_place_where_answers_part_nothing_is_looked_at() -> None:
    assert sure(preserved(CASE, (5, 6, 7), (5, 9, 7), margins=(2.0, 1.0, 0.1))) == ((5,), 6, 9)
    assert sure(preserved(CASE, (5, 6), (5, 6, 7), margins=(2.0, 1.0))) == ((5,), 6, None)


def test_of_several_turns_the_least_sure_is_looked_at_up_to_the_one_that_differs() -> None:
    margins = ((2.0,), (0.7, 0.3), (0.1,))
    same = in_turns(((5,), (5,)), ((6, 7), (6, 7)), ((8,), (8,)), passed=True, margins=margins)
    parted = in_turns(((5,), (5,)), ((6, 7), (9, 7)), ((8,), (8,)), passed=True, margins=margins)
    assert sure(same) == ((), 8, None)
    assert sure(parted) == ((), 6, 9)


@pytest.mark.parametrize("margins", [(), (nan, nan, nan), (1.0, 1.0, 1.0)])
def test_without_a_least_margin_it_is_the_first_token(margins: tuple[float, ...]) -> None:
    assert sure(preserved(CASE, (5, 6, 7), (5, 6, 7), margins=margins)) == ((), 5, None)


def test_a_margin_that_is_no_number_is_not_the_least() -> None:
    assert sure(preserved(CASE, (5, 6, 7), (5, 6, 7), margins=(nan, 3.0))) == ((5,), 6, None)


def test_what_is_recalled_is_looked_at_where_it_was_least_probable() -> None:
    measured = replace(recall(1, 1), log_probabilities=(-0.1, -2.0))
    comparison = preserved(FACT, (20,), (20,), recall=(measured,))
    comparison = replace(comparison, candidate=answered(FACT, (20,), recall=(measured,)))
    assert sure(comparison) == ((20,), 21, END)


def test_contrast_without_an_answer_or_tokens_has_no_place() -> None:
    assert where_least_sure(preserved(CASE, (), ())) == EMPTY
    known = preserved(CASE, (5,), (5,))
    text = replace(known.reference, completion=replace(known.reference.completion, token_ids=()))
    assert where_least_sure(replace(known, reference=text)) == NO_TOKENS
    assert where_least_sure(preserved(FACT, (5,), (5,))) == NOT_MEASURED
