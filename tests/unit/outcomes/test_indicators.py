"""Reference against candidate as a service: refusals, retries, lengths, cut-off answers and loops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.outcomes.indicators import Indicator, Name, compare, paired
from pytest_quantgate.outcomes.intervals import Estimate, newcombe_paired
from pytest_quantgate.outcomes.model import Comparison, Outcome

REFUSES = "I'm sorry, but I can't help with that."
ANSWERS = "Paris is the capital of France."


def asked(*checks: CheckSpec, case_id: str = "case", cluster: str | None = None) -> Case:
    return Case(case_id, (Message("user", "Say it."),), checks or (CheckSpec("comply"),), 16, (), cluster)


def answered(
    text: str = ANSWERS,
    *,
    tokens: int = 2,
    ended: FinishReason = "stop",
    followed: Sequence[bool | None] = (True,),
    checks: Sequence[CheckSpec] = (CheckSpec("comply"),),
    problem: str | None = None,
) -> Outcome:
    results = tuple(CheckResult(spec.name, each, "because") for spec, each in zip(checks, followed, strict=True))
    passed = None if None in followed else all(followed)
    return Outcome(Completion(text, tuple(range(tokens)), ended, 9, problem=problem), results, passed)


def told(name: Name, cases: Sequence[Comparison]) -> Indicator:
    return next(each for each in compare(cases) if each.name == name)


def texts(*sides: tuple[str, str], case: Case | None = None) -> list[Comparison]:
    return [Comparison(case or asked(), answered(before), answered(after)) for before, after in sides]


def test_every_indicator_is_told() -> None:
    assert [each.name for each in compare(texts((ANSWERS, ANSWERS)))] == list(get_args(Name))


def test_the_refusal_rate_is_the_share_of_answers_that_decline() -> None:
    found = told("refusal_rate", texts((ANSWERS, ANSWERS), (ANSWERS, REFUSES), (REFUSES, REFUSES), (ANSWERS, "")))

    interval = newcombe_paired([0, 1, 1, 0], [0, 0, 1, 0])
    assert found == Indicator("refusal_rate", 4, 0.25, 0.5, Estimate(0.25, interval))


@pytest.mark.parametrize(
    ("check", "counts"),
    [
        (CheckSpec("comply"), True),
        (CheckSpec("refusal"), False),
        (CheckSpec("response_kind", {"is": "refusal"}), False),
        (CheckSpec("response_kind", {"is": ["refusal", "partial_refusal"]}), False),
        (CheckSpec("response_kind", {"is": "compliance"}), True),
    ],
)
def test_over_refusal_is_refusal_where_no_check_asks_for_it(check: CheckSpec, *, counts: bool) -> None:
    found = told("over_refusal_rate", texts((ANSWERS, REFUSES), case=asked(check)))

    assert found.cases == int(counts)
    assert found.candidate == (1 if counts else None)
    if not counts:
        assert found.change.undefined == "every answered case has a check that asks for a refusal"


@pytest.mark.parametrize(
    "name", ["json", "json_schema", "yaml", "csv", "xml", "tool_call", "detectable_format:json_format"]
)
def test_the_format_retry_rate_is_the_share_of_parsed_answers_that_do_not_parse(name: str) -> None:
    checks = (CheckSpec(name), CheckSpec("contains"))
    sides = [((True, True), (False, True)), ((True, False), (True, False)), ((True, True), (None, True))]
    cases = [
        Comparison(asked(*checks), answered(followed=old, checks=checks), answered(followed=new, checks=checks))
        for old, new in sides
    ]
    found = told("format_retry_rate", [*cases, *texts((ANSWERS, ANSWERS))])

    assert (found.cases, found.reference, found.candidate) == (2, 0, 0.5)


def test_without_a_check_that_parses_there_is_no_format_retry_rate() -> None:
    assert told("format_retry_rate", texts((ANSWERS, ANSWERS))) == Indicator(
        "format_retry_rate", 0, None, None, Estimate(None, None, "no answered case has a scored check that parses")
    )


def test_the_length_ratio_is_that_of_mean_lengths() -> None:
    lengths = [(4, 8), (10, 10), (6, 12), (5, 9), (7, 9)]
    cases = [Comparison(asked(), answered(tokens=before), answered(tokens=after)) for before, after in lengths]
    found = told("length_ratio", cases)

    assert (found.reference, found.candidate) == (32 / 5, 48 / 5)
    assert found.change.value == 1.5
    assert found.change.interval is not None
    assert found.change.interval.method == "BCa bootstrap"
    assert found.change.interval.low < 1.5 < found.change.interval.high


@pytest.mark.parametrize("side", [0, 1])
def test_answers_recorded_without_tokens_leave_the_length_ratio_undefined(side: int) -> None:
    lengths = [3, 3]
    lengths[side] = 0
    cases = [Comparison(asked(), *(answered(tokens=each) for each in lengths)), *texts((ANSWERS, ANSWERS))]

    assert told("length_ratio", cases).change == Estimate(None, None, "answers were recorded without their tokens")


def test_recorded_answers_whose_tokens_were_counted_have_a_length() -> None:
    counted = replace(answered().completion, token_ids=(), counted=6)
    cases = [Comparison(asked(), answered(tokens=3), replace(answered(), completion=counted))]

    assert told("length_ratio", cases).change.value == 2


def test_a_reference_that_says_nothing_has_no_length_ratio() -> None:
    cases = [Comparison(asked(), answered("", tokens=0), answered())]

    assert told("length_ratio", cases).change == Estimate(None, None, "the reference's answers have no tokens")


def test_cut_off_answers_and_those_that_loop_are_counted() -> None:
    cases = [
        Comparison(asked(), answered(), answered(ended="length")),
        Comparison(asked(), answered(ended="length"), answered("no " * 40, ended="length")),
        Comparison(asked(), answered(), answered("no " * 40)),
        Comparison(asked(), answered(), answered()),
    ]
    truncated, loops = told("truncation_rate", cases), told("loop_rate", cases)

    assert (truncated.reference, truncated.candidate, truncated.change.value) == (0.25, 0.5, 0.25)
    assert (loops.reference, loops.candidate, loops.change.value) == (0, 0.25, 0.25)


@pytest.mark.parametrize("name", ["truncation_rate", "loop_rate"])
def test_where_nobody_recorded_why_answers_ended_nothing_is_said_of_it(name: Name) -> None:
    cases = [Comparison(asked(), answered(), answered(ended="unknown")), *texts((ANSWERS, ANSWERS))]

    assert told(name, cases).change == Estimate(None, None, "answers were recorded without why they ended")


def test_what_either_side_did_not_answer_is_left_out_and_what_was_not_scored_is_not() -> None:
    cases = [
        Comparison(asked(), answered(), answered(problem="it does not fit")),
        Comparison(asked(), answered(problem="it does not fit"), answered()),
        Comparison(asked(), answered(followed=[None]), answered(REFUSES, followed=[None])),
    ]
    found = told("refusal_rate", cases)

    assert (found.cases, found.reference, found.candidate) == (1, 0, 1)


@pytest.mark.parametrize("cases", [[], texts((ANSWERS, REFUSES), case=asked(CheckSpec("recall")))])
def test_without_an_answer_in_text_every_indicator_is_undefined(cases: list[Comparison]) -> None:
    for each in compare(cases):
        assert (each.cases, each.reference, each.candidate) == (0, None, None)
        assert each.change == Estimate(None, None, "no case was answered in text by both sides")


def test_every_turn_is_an_answer_and_shares_its_cases_group() -> None:
    json = (CheckSpec("json"),)
    case = replace(asked(), later=(Turn("As JSON.", json, 16),))
    first, second = answered(), answered(REFUSES, followed=[False], checks=json)
    before = replace(first, turns=(first, answered(checks=json)))
    after = replace(first, turns=(first, second))
    cases = [Comparison(case, before, after), *texts((ANSWERS, ANSWERS))]
    refusals = paired("refusal_rate", cases)

    assert (refusals.first, refusals.second) == ((0, 0, 0), (0, 1, 0))
    assert refusals.groups[0] == refusals.groups[1] != refusals.groups[2]
    assert paired("format_retry_rate", cases).second == (1,)


def test_pairs_carry_the_clusters_of_their_cases() -> None:
    cases = [Comparison(asked(cluster=cluster), answered(tokens=3), answered(tokens=5)) for cluster in ("a", "a", None)]
    lengths = paired("length_ratio", cases)

    assert (lengths.first, lengths.second, lengths.undefined) == ((3, 3, 3), (5, 5, 5), None)
    assert lengths.groups[:2] == ("a", "a")


sides = st.tuples(st.sampled_from([ANSWERS, REFUSES, "", "no " * 40]), st.sampled_from(["stop", "length"]))


@given(st.lists(st.tuples(sides, sides, st.sampled_from([None, "a"])), max_size=20), st.randoms(use_true_random=False))
def test_shares_are_shares_and_the_order_of_the_cases_does_not_matter(
    drawn: list[tuple[tuple[str, FinishReason], tuple[str, FinishReason], str | None]], chance: random.Random
) -> None:
    cases = [
        Comparison(asked(cluster=cluster), *(answered(text, ended=ended) for text, ended in (before, after)))
        for before, after, cluster in drawn
    ]
    found = compare(cases)

    assert compare(chance.sample(cases, len(cases))) == found
    for each in found:
        if each.change.value is None or each.name == "length_ratio":
            continue
        assert each.reference is not None
        assert each.candidate is not None
        assert 0 <= each.reference <= 1
        assert 0 <= each.candidate <= 1
        assert each.change.value == pytest.approx(each.candidate - each.reference)
