from __future__ import annotations

import dataclasses
import math

import pytest
from rich.cells import cell_len

from pytest_quantgate.cases.model import Case
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.report import difference
from pytest_quantgate.report.difference import side_by_side
from pytest_quantgate.report.text import wrap
from tests.unit.report.build import FAILED, PASSED, UNSCORED, case


def completion(
    text: str,
    tokens: tuple[int, ...] = (1,),
    margins: tuple[float, ...] = (),
    finish_reason: FinishReason = "stop",
) -> Completion:
    return Completion(text, tokens, finish_reason, 9, margins)


def result(check: str, reason: str, *, followed: bool) -> CheckResult:
    return CheckResult(check, followed, reason)


def show(
    before: Outcome | Completion = PASSED,
    after: Outcome | Completion = FAILED,
    *,
    width: int = 80,
    color: bool = False,
    asked: Case | None = None,
) -> str:
    reference = before if isinstance(before, Outcome) else dataclasses.replace(PASSED, completion=before)
    candidate = after if isinstance(after, Outcome) else dataclasses.replace(FAILED, completion=after)
    asked = asked or case("person-flat")
    return side_by_side(
        asked,
        Comparison(asked, reference, candidate),
        "nf4",
        slice_name="format",
        reference="fp16",
        width=width,
        color=color,
    )


def test_the_head_names_case_candidate_transition_and_prompt() -> None:
    first, second, *_ = show().splitlines()

    assert first == "format::person-flat[nf4]  PASS→FAIL"
    assert second == "prompt: Write a JSON object for Alice, who is 30."


def test_answers_stand_in_two_columns_and_a_mark_shows_the_row_where_they_part() -> None:
    text = show(completion("one\ntwo\nthree", (1, 2, 3)), completion("one\n2\nthree", (1, 4, 3)))
    rows = [[cell.strip() for cell in line.split(mark)] for line in text.splitlines() for mark in "|>" if mark in line]

    assert rows == [
        ["fp16: PASS, 3 tokens", "nf4: FAIL, 3 tokens"],
        ["one", "one"],
        ["two", "2"],
        ["three", "three"],
    ]
    assert [line.split() for line in text.splitlines() if " > " in line] == [["two", ">", "2"]]


@pytest.mark.parametrize("width", [40, 69, 70, 80, 160])
@pytest.mark.parametrize("text", ["漢字" * 300, "x" * 900, "some words " * 80, "line\n" * 50])
def test_no_line_is_wider_than_asked(width: int, text: str) -> None:
    assert all(cell_len(line) <= width for line in show(completion(text), width=width).splitlines())


@pytest.mark.parametrize("width", [60, 100])
def test_of_a_very_long_answer_only_the_part_where_they_part_is_broken_into_lines(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[str] = []

    def noted(text: str, width: int) -> list[str]:
        broken.append(text)
        return wrap(text, width)

    monkeypatch.setattr(difference, "wrap", noted)
    same = "word\n" * 200_000
    shown = show(completion(f"{same}this{same}"), completion(f"{same}that{same}"), width=width)

    assert sum(map(len, broken)) < 50_000
    assert "[... 999602 characters ...]" in "\n".join(broken)
    assert "that" in shown if width > 70 else "equal" not in shown
    assert "more lines" in shown


def test_a_narrow_terminal_gets_one_answer_under_the_other() -> None:
    shown = show(completion("left answer"), completion("right answer"), width=69).splitlines()

    assert shown.index("  left answer") < shown.index("nf4: FAIL, 1 token") < shown.index("  right answer")


@pytest.mark.parametrize(
    ("margins", "sentence"),
    [
        ((1.5, 0.03), "They part at token 2, after 'on': the reference preferred its token by 0.03 nats, a near tie."),
        ((1.5, 4.2), "They part at token 2, after 'on': the reference preferred its token by 4.2 nats."),
        ((), "They part at token 2, after 'on'."),
        ((1.5, math.nan), "They part at token 2, after 'on'."),
    ],
    ids=["near tie", "clear", "not recorded", "not a number"],
)
def test_the_place_where_they_part_comes_with_the_references_margin(margins: tuple[float, ...], sentence: str) -> None:
    assert sentence in show(completion("one", (1, 2), margins), completion("on!", (1, 3)), width=100)


def test_an_answer_that_stops_first_is_named() -> None:
    assert "They part at token 2: nf4 stopped there." in show(completion("ab", (1, 2)), completion("a", (1,)))
    assert "They part at token 2: fp16 stopped there." in show(completion("a", (1,)), completion("ab", (1, 2)))


def test_equal_answers_say_so() -> None:
    text = show(PASSED, PASSED)

    assert "Both answers have the same tokens." in text
    assert " > " not in text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("one", "Both answers have the same text."), ("on!", "They part after 'on'."), ("two", "They part at once.")],
)
def test_answers_recorded_without_tokens_are_compared_by_their_text(text: str, sentence: str) -> None:
    shown = show(completion("one", (), finish_reason="unknown"), completion(text, (), finish_reason="unknown"))

    assert sentence in shown
    assert "token" not in shown


def test_a_recorded_answer_has_the_length_that_was_counted() -> None:
    counted = dataclasses.replace(completion("one", ()), counted=12)

    assert "fp16: PASS, 12 tokens" in show(counted, completion("two", ()))


def test_the_checks_that_broke_come_with_their_reasons() -> None:
    before = dataclasses.replace(
        PASSED, results=(result("json", "fine", followed=True), result("comply", "refused", followed=False))
    )
    after = dataclasses.replace(
        FAILED, results=(result("json", "not JSON", followed=False), result("comply", "complied", followed=True))
    )
    text = show(before, after)

    assert "broke json: not JSON\n" in text
    assert "repaired comply: complied\n" in text


def test_a_side_without_an_answer_says_why() -> None:
    text = show(PASSED, UNSCORED)

    assert "unscored" in text.splitlines()[0]
    assert "(no answer: the prompt does not fit)" in text
    assert "The answers cannot be compared." in text
    assert "not scored json: the prompt does not fit" in text


@pytest.mark.parametrize(("answer", "shown"), [("", "(empty answer)"), (" \n", r"(only white space: ' \n')")])
def test_an_answer_without_letters_is_still_seen(answer: str, shown: str) -> None:
    assert shown in show(PASSED, completion(answer, ()))


def test_an_answer_that_was_cut_off_is_marked() -> None:
    assert "nf4: FAIL, 1 token, cut at the token limit" in show(
        PASSED, completion("a", finish_reason="length"), width=100
    )


def test_an_answer_that_was_stopped_early_is_marked() -> None:
    assert "nf4: FAIL, 1 token, stopped when decided" in show(
        PASSED, completion("a", finish_reason="decided"), width=100
    )


def test_long_answers_are_cut_and_counted() -> None:
    text = show(completion("\n".join(f"row {n}" for n in range(30))), completion("other"))

    assert "row 15" in text
    assert "row 16" not in text
    assert "... 14 more lines" in text


def test_the_row_where_they_part_is_shown_however_late_it_comes() -> None:
    same = "\n".join(f"row {n}" for n in range(100))
    text = show(completion(f"{same}\nleft end"), completion(f"{same}\nright end"))

    assert "... 97 equal lines before" in text
    assert "left end" in text
    assert "right end" in text


def test_a_long_prompt_keeps_its_beginning_and_its_end() -> None:
    text = show(asked=case("a", "begin " + "filler " * 2000 + "the question?"))

    assert "prompt: begin" in text
    assert "characters ...]" in text
    assert "the question?" in text
    assert len(text) < 1500


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", [60, 100])
def test_text_from_outside_cannot_act_on_the_terminal(width: int, *, color: bool) -> None:
    evil = "\x1b]0;owned\x07[bold]\u202e\ud800"
    answer = dataclasses.replace(
        FAILED, completion=completion(evil), results=(CheckResult("json", followed=False, reason=evil),)
    )
    text = show(completion(evil + "x", (1, 2)), answer, width=width, color=color, asked=case(evil, evil))

    assert "\x1b]" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert text.encode()
    assert ("\x1b[" in text) is color
