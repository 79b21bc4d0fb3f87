"""Which cases a diagnosis looks at, what it is told of each, and what is left out and why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from pytest_quantgate.cases.model import CheckSpec, Message
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.diagnosis.parting import NO_END, SAME_TOKENS
from pytest_quantgate.diagnosis.points import (
    NO_ROOM,
    NOT_RENDERED,
    OTHER_PROMPT,
    OTHER_TOKENS,
    Answers,
    Chosen,
    Point,
    points_of,
)
from pytest_quantgate.outcomes.model import Comparison
from tests.unit.diagnosis.answered import CONTEXT, answered, asked, byte_tokenizer, degraded, preserved, prompt_of


def nobody_knows(_before: Sequence[int]) -> None:
    """No token that ends an answer."""


def chosen(
    *comparisons: Comparison,
    context: int = CONTEXT,
    cases: int = 40,
    tokens: int = 8_000,
    ending: Callable[[Sequence[int]], int | None] = nobody_knows,
) -> Chosen:
    return points_of(comparisons, byte_tokenizer(), context, ending, limit_cases=cases, limit_tokens=tokens)


def broken(name: str, prompt: str = "Say it.") -> Comparison:
    return degraded(asked(name, prompt), (5, 6, 7, 8), (5, 6, 9))


def kept(name: str, prompt: str = "Say it.") -> Comparison:
    return preserved(asked(name, prompt), (5, 6), (5, 6), margins=(1.0, 0.5))


def why(comparison: Comparison, context: int = CONTEXT) -> dict[str, int]:
    found = chosen(comparison, context=context)
    assert found.points == ()
    return dict(found.sample.left_out)


def test_a_point_holds_everything_before_the_token_that_differs() -> None:
    found = chosen(broken("a"))
    prompt = prompt_of(asked("a"))
    assert found.points == (
        Point(
            "a", degraded=True, token_ids=(*prompt, 5, 6), target=7, rival=9, following=(8,), prompt_tokens=len(prompt)
        ),
    )
    assert found.answers == {"a": Answers((5, 6, 7, 8), (5, 6, 9))}
    assert (found.sample.degraded, found.sample.tokens, found.recalled) == (("a",), len(prompt) + 2, frozenset())


def test_the_token_that_ended_an_answer_is_asked_for_where_it_is_wanted() -> None:
    asked_for = []

    def ending(before: Sequence[int]) -> int:
        asked_for.append(tuple(before))
        return 8

    went_on, stopped = degraded(asked("a"), (5, 6), (5, 6, 7)), degraded(asked("b"), (5, 6, 7), (5,))
    found = chosen(went_on, stopped, broken("c"), ending=ending)
    prompt = prompt_of(asked("a"))
    assert {each.case_id: (each.target, each.rival) for each in found.points} == {"a": (8, 7), "b": (6, 8), "c": (7, 9)}
    assert sorted(asked_for) == [(*prompt, 5), (*prompt, 5, 6)]


def test_an_end_that_is_the_others_token_is_no_rival() -> None:
    (point,) = chosen(degraded(asked("b"), (5, 6, 7), (5,)), ending=lambda _: 6).points
    assert (point.target, point.rival) == (6, None)


def test_where_nobody_knows_how_the_reference_ended_nothing_is_looked_at() -> None:
    assert why(degraded(asked("a"), (5, 6), (5, 6, 7))) == {NO_END: 1}
    (point,) = chosen(degraded(asked("b"), (5, 6, 7), (5,))).points
    assert (point.target, point.rival) == (6, None)


def test_a_fact_is_looked_at_right_behind_its_prompt() -> None:
    fact = asked("fact", checks=(CheckSpec("recall", {"answer": "Paris"}),))
    lost = Recall("Paris", (50,), (3,), (0,), (-2.0,))
    comparison = degraded(fact, (50,), (51,), recall=(replace(lost, ranks=(1,)),))
    comparison = replace(comparison, candidate=answered(fact, (51,), passed=False, recall=(lost,)))
    found = chosen(comparison, broken("other"))
    assert found.points[0].token_ids == prompt_of(fact)
    assert (found.points[0].target, found.points[0].rival) == (50, 51)
    assert found.recalled == {"fact"}


def test_only_degraded_cases_and_their_contrast_are_looked_at() -> None:
    failing = replace(broken("failing"), reference=answered(asked("failing"), (5,), passed=False))
    improved = replace(failing, candidate=answered(asked("failing"), (6,)))
    assert chosen(failing, improved, kept("kept")).points == ()


def test_each_degraded_case_has_the_preserved_one_of_the_nearest_length() -> None:
    lengths = {"x": 3, "y": 40, "z": 90}
    contrast = [kept(name, name * length) for name, length in lengths.items()]
    found = chosen(broken("long", "a" * 85), broken("short", "b" * 5), *contrast)
    assert [point.case_id for point in found.points] == ["short", "long", "x", "z"]
    assert [point.degraded for point in found.points] == [True, True, False, False]
    assert (found.sample.degraded, found.sample.preserved) == (("short", "long"), ("x", "z"))


def test_contrast_that_cannot_be_looked_at_gives_its_place_to_the_next() -> None:
    near, far = kept("near"), kept("far", "Say it, please.")
    near = replace(near, case=asked("near", "Say it!!!"))
    found = chosen(broken("a"), near, far)
    assert found.sample.preserved == ("far",)
    assert found.sample.left_out == {}


def test_over_the_limit_of_cases_the_shortest_stay() -> None:
    cases = [broken(f"b{n}", "b" * n) for n in (9, 3, 7, 5, 1)]
    found = chosen(*cases, *[kept(f"k{n}", "k" * n) for n in (1, 3, 5)], cases=4)
    assert found.sample.degraded == ("b1", "b3")
    assert found.sample.preserved == ("k1", "k3")
    assert found.sample.left_out == {"over the limit of 4 cases": 3}


def test_the_last_place_goes_to_a_degraded_case() -> None:
    found = chosen(*[broken(f"b{n}", "b" * n) for n in (1, 3)], *[kept(f"k{n}", "k" * n) for n in (1, 3)], cases=3)
    assert (found.sample.degraded, found.sample.preserved) == (("b1", "b3"), ("k1",))


def test_where_little_is_preserved_more_degraded_ones_are_looked_at() -> None:
    found = chosen(*[broken(f"b{n}", "b" * n) for n in range(1, 6)], kept("k"), cases=4)
    assert (len(found.sample.degraded), len(found.sample.preserved)) == (3, 1)
    assert found.sample.left_out == {"over the limit of 4 cases": 2}


def test_over_the_limit_of_tokens_the_shortest_stay() -> None:
    cases = [broken(f"b{n}", "b" * n) for n in (60, 10, 50)]
    size = len(prompt_of(asked("b", "b" * 10))) + 2
    found = chosen(*cases, kept("k", "k" * 55), tokens=size + 20)
    assert (found.sample.degraded, found.sample.preserved, found.sample.tokens) == (("b10",), (), size)
    assert found.sample.left_out == {f"over the limit of {size + 20} tokens": 2}


def test_the_causal_tests_get_the_twelve_shortest_degraded_cases() -> None:
    found = chosen(*[broken(f"b{n}", "b" * n) for n in range(15, 0, -1)], kept("k"))
    assert found.sample.causal == tuple(f"b{n}" for n in range(1, 13))
    assert [point.case_id for point in found.causal] == list(found.sample.causal)


def test_the_causal_tests_get_long_cases_as_far_as_they_take_minutes_and_always_one() -> None:
    cases = [broken(f"b{n}", "b" * n) for n in (500, 600, 700)]
    assert chosen(*cases, context=2_000).sample.causal == ("b500", "b600")
    assert chosen(broken("long", "b" * 1_500), *cases[2:], context=2_000).sample.causal == ("b700",)
    assert chosen(broken("long", "b" * 1_500), context=2_000).sample.causal == ("long",)


def test_the_same_cases_give_the_same_points() -> None:
    cases = [*[broken(f"b{n}", "b" * (n % 3 + 1)) for n in range(8)], *[kept(f"k{n}") for n in range(8)]]
    assert chosen(*cases) == chosen(*cases)


def test_why_a_case_is_left_out() -> None:
    same = degraded(asked("same"), (5, 6), (5, 6))
    assert why(same) == {SAME_TOKENS: 1}
    assert why(broken("long", "b" * CONTEXT)) == {NO_ROOM: 1}
    assert why(broken("a"), context=len(prompt_of(asked("a"))) + 3) == {NO_ROOM: 1}
    assert why(replace(broken("a"), case=asked("a", "Say it in another way."))) == {OTHER_PROMPT: 1}


@pytest.mark.parametrize("token", [-1, 10**9])
def test_tokens_that_no_model_has_are_left_out(token: int) -> None:
    assert why(degraded(asked("a"), (5, token), (5, 6))) == {OTHER_TOKENS: 1}
    assert why(degraded(asked("a"), (5, 6), (5, 7, token))) == {OTHER_TOKENS: 1}


def test_a_prompt_that_the_template_refuses_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = broken("a")
    monkeypatch.setattr(byte_tokenizer(), "chat_template", "{{ raise_exception('no') }}")
    assert why(comparison) == {NOT_RENDERED: 1}


# Where the subject stands


def subject(prompt: str, marked: str, begun: str = "") -> str | None:
    """The prompt up to the last token of the subject, as text."""
    case = asked("a", prompt, answer_prefix=begun, subject=marked)
    (point,) = chosen(degraded(case, (5, 6), (5, 7))).points
    if point.subject is None:
        return None
    return str(byte_tokenizer().decode(list(point.token_ids[: point.subject + 1])))


@pytest.mark.parametrize(
    ("prompt", "marked", "begun", "shown"),
    [
        ("What of Rome?", "Rome", "", "<|user|>What of Rome"),
        ("Rome or Rome, not Romeo?", "Rome", "", "<|user|>Rome or Rome"),
        ("  Of Rome? ", "Rome", "", "<|user|>Of Rome"),
        ("Of Rome?", "Rome", "In Rome it", "<|user|>Of Rome?<|end|><|assistant|>In Rome"),
        ("Of Rome?", "Rome", "It is", "<|user|>Of Rome"),
        ("Of Zoë?", "Zoë", "", "<|user|>Of Zoë"),
        ("東京都の人口は?", "東京", "", "<|user|>東京"),
        ("Who is the assistant of Ann?", "assistant", "", "<|user|>Who is the assistant"),
        ("Of Rome?", "", "", None),
    ],
)
def test_the_subject_ends_at_its_last_mention_as_a_word(
    prompt: str, marked: str, begun: str, shown: str | None
) -> None:
    assert subject(prompt, marked, begun) == shown


def test_a_subject_that_a_report_marks_and_nobody_can_find_is_none() -> None:
    assert subject("Of Rome?", "Paris") is None


def test_a_subject_is_sought_in_the_last_message() -> None:
    chat = (Message("user", "Of Rome?"), Message("assistant", "Rome is old."), Message("user", "Is Rome?"))
    case = replace(asked("a", subject="Rome"), messages=chat)
    (point,) = chosen(degraded(case, (5, 6), (5, 7))).points
    assert point.subject is not None
    shown = byte_tokenizer().decode(list(point.token_ids[: point.subject + 1]))
    assert shown.endswith("<|user|>Is Rome")


def test_choosing_imports_no_torch() -> None:
    code = "import sys; import pytest_quantgate.diagnosis.points; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
