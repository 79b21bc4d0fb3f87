"""Text health: loops, cut-off answers, empty ones, scripts that nobody used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.outcomes.health import Health, Indicators, has_text, health_of, repeats_itself, summarize


def case(prompt: str, check: CheckSpec | None = None) -> Case:
    return Case("one", (Message("user", prompt),), (check or CheckSpec("comply"),), 16)


def health(text: str, reason: FinishReason = "stop", *, asked: Case | None = None) -> Health:
    answer = Completion(text, token_ids=(1, 2, 3), finish_reason=reason, prompt_tokens=5)
    return health_of(asked or case("What is the capital of France?"), answer)


@pytest.mark.parametrize(
    "text",
    [
        "I am sure that that that that that that that that that that that",
        "The answer is 4. " * 4,
        "1234 " * 8 + "12",
        "Once upon a time. " + "na" * 30,
        "\u043d\u0435\u0442 " * 12,
        "a" * 1_000_000,
    ],
)
def test_an_end_that_comes_again_and_again_is_a_loop(text: str) -> None:
    assert repeats_itself(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aaaa",
        "The answer is 4. The answer is 5. The answer is 6. The answer is 7.",
        "The answer is forty-two. " * 3,
        "ha ha ha ha, that is a good one, and I will tell it to everybody that I meet",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
    ],
)
def test_an_end_that_goes_on_is_none(text: str) -> None:
    assert not repeats_itself(text)


@given(st.text(max_size=60), st.text(min_size=1, max_size=30).filter(str.strip))
def test_anything_said_often_enough_is_a_loop(start: str, piece: str) -> None:
    assert repeats_itself(start + piece * 80)


def test_a_loop_counts_only_when_it_was_cut_off() -> None:
    assert health("no " * 30, "length").looping
    assert not health("no " * 30, "stop").looping


def test_truncated_and_empty_answers_are_told() -> None:
    assert health("Paris", "length").truncated
    assert not health("Paris").truncated
    assert health(" \n\t").empty
    assert not health("Paris").empty


@pytest.mark.parametrize(
    ("prompt", "answer", "wrong"),
    [
        (
            "What is the capital of France?",
            "\u041f\u0430\u0440\u0438\u0436, \u043a\u043e\u043d\u0435\u0447\u043d\u043e",
            True,
        ),
        ("What is the capital of France?", "Paris, of course", False),
        ("What is the capital of France?", "\u041f\u0430\u0440\u0438\u0436", None),
        ("1 + 1 =", "It is two, of course", None),
        (
            "\u65e5\u672c\u306e\u9996\u90fd\u306f\u3069\u3053\u3067\u3059\u304b",
            "\u65e5\u672c\u7684\u9996\u90fd\u662f\u4e1c\u4eac\u4eac\u4eac\u4eac",
            False,
        ),
        (
            "Translate \u041f\u0440\u0438\u0432\u0435\u0442",
            "\u042d\u0442\u043e \u043f\u0440\u043e\u0441\u0442\u043e \u043f\u0440\u0438\u0432\u0435\u0442",
            False,
        ),
        ("What is the capital of France?", "\U00010330\U00010331\U00010332" * 5, True),
        ("What is the capital of France?", "12345 67890 12345", None),
    ],
)
def test_a_script_that_the_prompt_does_not_use_is_wrong(prompt: str, answer: str, *, wrong: bool | None) -> None:
    assert health(answer, asked=case(prompt)).wrong_script is wrong


@pytest.mark.parametrize("name", ["language", "script", "language:response_language"])
def test_a_check_of_the_language_judges_by_itself(name: str) -> None:
    asked = case("Say it in Russian.", CheckSpec(name, {"language": "ru"}))
    assert (
        health("\u041f\u0430\u0440\u0438\u0436, \u043a\u043e\u043d\u0435\u0447\u043d\u043e", asked=asked).wrong_script
        is None
    )


@given(st.text(st.characters(), max_size=300))
def test_any_text_has_its_health_and_the_same_one_again(text: str) -> None:
    assert health(text, "length") == health(text, "length")


def test_indicators_count_answers() -> None:
    healths = [health("Paris"), health("no " * 30, "length"), health("", "length")]
    assert summarize(healths) == Indicators(3, empty=1, truncated=2, looping=1, wrong_script=0, mean_tokens=3.0)


def test_what_a_recorded_answer_does_not_tell_is_unknown_and_so_is_its_sum() -> None:
    recorded = health_of(case("Say it."), Completion("no " * 40, (), "unknown", 0))
    assert (recorded.truncated, recorded.looping, recorded.tokens) == (None, None, None)

    assert summarize([health("Paris"), recorded]) == Indicators(
        2, empty=0, truncated=None, looping=None, wrong_script=0, mean_tokens=None
    )


def test_nobody_knows_whether_an_answer_that_was_stopped_early_would_have_ended() -> None:
    stopped = health_of(case("Say it."), Completion("no " * 40, (7,) * 40, "decided", 0))
    assert (stopped.truncated, stopped.looping, stopped.tokens) == (None, None, None)


def test_a_recorded_answer_has_the_length_that_was_counted() -> None:
    assert health_of(case("Say it."), Completion("Paris", (), "stop", 0, counted=7)).tokens == 7
    assert health_of(case("Say it."), Completion("", (), "stop", 0)).tokens == 0


def test_a_case_that_only_asks_for_recall_has_no_text() -> None:
    recall = CheckSpec("recall", {"answer": "Paris"})
    assert not has_text(case("The capital of France is", recall))
    assert has_text(case("The capital of France is", CheckSpec("contains", {"all": ["Paris"]})))


def test_no_answers_have_no_mean_length() -> None:
    assert summarize([]) == Indicators(0, 0, 0, 0, 0, None)
