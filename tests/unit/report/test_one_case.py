"""Everything about one case: tokens side by side, margins explained, checks, goldens, and hostile contents."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest
from tokenizers import Tokenizer, models

from pytest_quantgate.cases.model import CheckSpec, Turn
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.golden.model import Anchored, AnchoredAnswer, Standing
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report import aligned
from pytest_quantgate.report.aligned import Reader
from pytest_quantgate.report.model import GoldenRecord, RunReport
from pytest_quantgate.report.one_case import one_case
from tests.unit.report.build import FAILED, PASSED, UNSCORED, case, record, run

NONE = Reader(None, "the model is not on this machine: smollm2")
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


@pytest.fixture(scope="module")
def letters() -> Reader:
    """A tokenizer whose tokens are letters."""
    vocabulary = {letter: number for number, letter in enumerate(LETTERS)}
    return Reader(Tokenizer(models.WordLevel(vocabulary, unk_token="z")), "letters")  # noqa: S106


def outcome(text: str, *margins: float, passed: bool = True, finish_reason: str = "stop") -> Outcome:
    """An answer of one letter a token."""
    ids = tuple(LETTERS.index(letter) for letter in text.split())
    completion = Completion(text, ids, finish_reason, 9, margins)  # type: ignore[arg-type]  # as a report has it
    return Outcome(completion, (CheckResult("json", passed, "good" if passed else "bad"),), passed)


def report_of(before: Outcome, after: Outcome, case_id: str = "one") -> RunReport:
    return run(("format", [record("format", case_id, before, after)]))


def show(report: RunReport, reader: Reader = NONE, *, width: int = 100, candidate: str = "nf4") -> str:
    return one_case(report, report.cases[0], candidate, reader, width=width, color=False)


def rows(text: str) -> list[str]:
    """The rows of the two columns of tokens, without what is between their cells."""
    return [" ".join(line.split()) for line in text.splitlines() if " '" in line and line.startswith(" ")]


def test_tokens_stand_side_by_side_and_the_first_difference_is_marked(letters: Reader) -> None:
    text = show(report_of(outcome("a b c d", 1, 2, 0.5, 3), outcome("a b x c d", 1, 2, 0.25, 3, 4)), letters)
    assert rows(text) == [
        "1 'a' 1.00 | 1 'a' 1.00",
        "2 'b' 2.00 | 2 'b' 2.00",
        "3 'c' 0.50 > 3 'x' 0.25",
        "≠ 4 'c' 3.00",
        "4 'd' 3.00 | 5 'd' 4.00",
    ]
    assert "as the tokenizer of letters reads them" in text


def test_the_margins_at_the_parting_token_are_explained(letters: Reader) -> None:
    text = " ".join(show(report_of(outcome("a b", 1, 0.5), outcome("a c", 1, 0.25)), letters).split())
    assert "They part at token 2, after 'a ': the reference preferred its token by 0.5 nats." in text
    assert f"0.50 nats are odds of {exp(0.5):.3g} to 1 for the reference's token over its runner-up" in text
    assert "nf4 preferred its own token by 0.25, so its weights moved the odds between the two by 0.75 nats or" in text


def test_long_odds_are_written_out(letters: Reader) -> None:
    text = " ".join(show(report_of(outcome("a b", 1, 7.766), outcome("a c", 1, 0.25)), letters).split())
    assert "7.77 nats are odds of 2,360 to 1 for" in text


def test_a_near_tie_is_called_one(letters: Reader) -> None:
    text = show(report_of(outcome("a", 0.01), outcome("b", 0.02)), letters)
    assert "any rounding can turn that" in " ".join(text.split())


@pytest.mark.parametrize(("margin", "told"), [(20.0, "over a million to 1"), (1e300, "over a million to 1")])
def test_a_certain_choice_has_no_endless_odds(letters: Reader, margin: float, told: str) -> None:
    assert told in " ".join(show(report_of(outcome("a", margin), outcome("b", 1)), letters).split())


@pytest.mark.parametrize("margins", [(), (float("nan"),)])
def test_margins_that_were_not_recorded_are_not_invented(letters: Reader, margins: tuple[float, ...]) -> None:
    assert "No decision margin was recorded there." in show(report_of(outcome("a", *margins), outcome("b")), letters)


def test_the_candidate_that_stops_early_has_no_token_there(letters: Reader) -> None:
    text = show(report_of(outcome("a b", 1, 2), outcome("a", 1)), letters)
    assert rows(text)[-1] == "2 'b' 2.00 >"
    assert "They part at token 2: nf4 stopped there." in text


def test_equal_answers_have_no_rows(letters: Reader) -> None:
    text = show(report_of(outcome("a b"), outcome("a b")), letters)
    assert rows(text) == []
    assert "Both answers have the same tokens." in text


def test_only_the_tokens_around_the_parting_are_shown(letters: Reader) -> None:
    before = outcome(" ".join(["a"] * 100 + ["b"] + ["c"] * 100))
    after = outcome(" ".join(["a"] * 100 + ["d"] + ["c"] * 150))
    text = show(report_of(before, after), letters)
    assert len(rows(text)) == aligned.BEFORE + aligned.AFTER
    assert "... 92 equal before" in text
    assert "... 69 more of fp16, 119 more of nf4" in text


@pytest.mark.parametrize(
    ("reader", "why"),
    [(NONE, "the model is not on this machine"), (None, "the tokenizer of letters does not give these answers")],
)
def test_without_the_right_tokenizer_words_are_compared_and_it_says_why(
    letters: Reader, reader: Reader | None, why: str
) -> None:
    before, after = outcome("a b c", 1, 2, 3), outcome("a b d", 1, 2, 3)
    broken = replace(after, completion=replace(after.completion, token_ids=(0, 1, 10**12)))
    text = show(report_of(before, broken), reader or letters)
    assert f"Word by word ({why}" in text
    assert rows(text) == ["1 'a' | 1 'a'", "2 ' b' | 2 ' b'", "3 ' c' > 3 ' d'"]
    assert "3.00 nats" in text


def test_recorded_answers_are_compared_by_words(letters: Reader) -> None:
    before, after = (
        replace(each, completion=replace(each.completion, token_ids=(), margins=()))
        for each in (outcome("a b"), outcome("a c"))
    )
    text = show(report_of(before, after), letters)
    assert "the tokens of recorded answers are not known" in text
    assert "no decision margin is" in text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_terminal(letters: Reader, width: int) -> None:
    before, after = outcome(" ".join(LETTERS), *range(26)), outcome(" ".join(LETTERS[::-1]), *range(10**6, 10**6 + 26))
    text = show(report_of(before, after), letters, width=width)
    shown = text.partition("run it again")[0]  # the command stays whole
    assert max(map(len, shown.splitlines())) <= width


def test_prompt_checks_and_ends_are_told() -> None:
    text = show(report_of(PASSED, FAILED))
    assert "  system: Answer with JSON only." in text
    assert "  user: Write a JSON object for Alice, who is 30." in text
    assert 'json: {"fenced": ["never", 1], "strict": false}' in text
    assert "  fp16 followed: valid JSON" in text
    assert "  nf4 violated: line 1 column 19: expected a key in quotes" in text
    assert "fp16: the model ended its answer; nf4: cut at the token limit" in text
    assert "written at suites/format.slice.yaml:12" in text


def test_an_answer_that_was_stopped_early_is_told() -> None:
    text = show(report_of(outcome("a b", finish_reason="decided"), outcome("a c")))
    assert "fp16: stopped when its checks were decided; nf4: the model ended its answer" in text


def test_an_answer_that_could_not_be_made_this_time_is_told() -> None:
    missing = Completion("", (), "unknown", 9, problem="memory ran out")
    text = show(report_of(outcome("a b"), Outcome(missing, (), passed=None, unscored="memory ran out")))
    assert "nf4: no answer this time" in text


def test_the_command_that_runs_it_again_is_the_last_line() -> None:
    (*_, title, command) = show(report_of(PASSED, FAILED)).splitlines()
    assert title == "run it again"
    assert command == "pytest --quant-suite core --quant-ref fp16 --quant-cand nf4 -k 'format::one[nf4]'"


def test_a_run_of_recorded_answers_has_its_own_command() -> None:
    report = replace(report_of(PASSED, FAILED), base_command=(), command=("quantgate", "gate", "a b"))
    assert show(report).splitlines()[-1] == "quantgate gate 'a b'"


def test_each_turn_is_shown() -> None:
    checks = (CheckSpec("contains", {"all": ["yes"]}),)
    asked = replace(case("chat", "First?"), checks=checks, later=(Turn("Second?", checks, 8),))
    before, after = (
        outcome_of_turns(asked, [Completion(text, (), "stop", 9) for text in texts], builtin_registry())
        for texts in (("yes", "yes indeed"), ("yes", "no"))
    )
    report = run(("chats", [replace(record("chats", "chat", before, after), case=asked)]))
    text = show(report)
    assert "turn 1 of 2: PASS→PASS" in text
    assert "turn 2 of 2: PASS→FAIL" in text
    assert "  user: Second?" in text
    assert "turn 2: " in text.partition("checks")[2]


def test_a_case_that_a_side_gave_no_result_for_says_so() -> None:
    report = report_of(PASSED, FAILED)
    cut = replace(report.cases[0], outcomes={"fp16": PASSED})
    broken = replace(report, cases=(cut,), candidates=(replace(report.candidates[0], problem="it ran out of memory"),))
    text = show(broken)
    assert "format::one[nf4]  no result" in text
    assert "nf4: it ran out of memory" in text
    assert "fp16: PASS, the model ended its answer" in text
    empty = replace(report, cases=(replace(report.cases[0], outcomes={}),))
    assert show(empty).count("no result in this report") == 2


def test_an_unscored_case_is_not_compared() -> None:
    text = show(report_of(UNSCORED, PASSED))
    assert "The answers cannot be compared." in text
    assert "fp16: no answer, the prompt does not fit" in text


def test_how_it_stands_to_its_goldens() -> None:
    drifted = GoldenRecord(
        "format", "nf4", "golden/format/nf4.jsonl", "2026-01-01T00:00:00Z", "me", 3,
        (Standing("one", "drifted", "json was followed"),), accepted={"one": "the new prompt is worse"},
    )  # fmt: skip
    same = replace(drifted, variant="fp16", standings=(), accepted={}, written=("one",))
    other = replace(drifted, slice="math")
    text = " ".join(show(replace(report_of(PASSED, FAILED), goldens=(drifted, same, other))).split())
    assert "nf4 (golden/format/nf4.jsonl, anchored 2026-01-01T00:00:00Z): drifted: json was followed" in text
    assert "accepted although degraded: the new prompt is worse" in text
    assert "fp16 (golden/format/nf4.jsonl, anchored 2026-01-01T00:00:00Z): same, and anchored anew" in text
    assert text.count("anchored 2026") == 2


def golden_of(*standings: Standing, variant: str = "nf4") -> GoldenRecord:
    return GoldenRecord("format", variant, "g.jsonl", "2026-01-01T00:00:00Z", "me", 0, standings)


@pytest.mark.parametrize("variant", ["nf4", "fp16"])
def test_what_drifted_is_shown_beside_what_was_anchored(variant: str) -> None:
    good, bad = CheckResult("json", True, "good"), CheckResult("json", False, "bad")  # noqa: FBT003
    was = Anchored((good,), (AnchoredAnswer("what it said then", "stop", 4),))
    now = Outcome(Completion("what it says now", (1, 2), "length", 9), (bad,), passed=False)
    report = replace(
        report_of(*((PASSED, now) if variant == "nf4" else (now, PASSED))),
        goldens=(golden_of(Standing("one", "drifted", "json was followed", was), variant=variant),),
    )
    before, _, shown = show(report).partition("\ngoldens\n")
    assert "what it said then" not in before
    assert "anchored: PASS, 4 tokens" in shown
    assert "now: FAIL, 2 tokens, cut at the token limit" in shown
    assert "what it said then" in shown
    assert "what it says now" in shown
    assert "broke json: bad" in shown


@pytest.mark.parametrize(
    "was",
    [
        None,
        Anchored((), ()),
        Anchored((), (AnchoredAnswer("\x1b[2J\ud800", "unknown", None), AnchoredAnswer("more", "stop", 2**31))),
    ],
    ids=["not written", "empty", "of another case"],
)
def test_whatever_a_report_says_was_anchored_is_shown_or_left_out(was: Anchored | None) -> None:
    text = show(replace(report_of(PASSED, FAILED), goldens=(golden_of(Standing("one", "drifted", "x", was)),)))
    assert "drifted: x" in text
    assert "\x1b" not in text


def test_text_from_outside_cannot_act_on_the_terminal(letters: Reader) -> None:
    evil = "\x1b]0;owned\x07[bold]\u202e\ud800"
    bad = replace(FAILED, completion=replace(FAILED.completion, text=evil), results=(CheckResult(evil, False, evil),))  # noqa: FBT003
    report = report_of(PASSED, bad, evil)
    golden = GoldenRecord(
        "format", "nf4", evil, evil, evil, 0, (Standing(evil, "drifted", evil),), accepted={evil: evil}
    )
    report = replace(report, base_command=("pytest", evil), goldens=(golden,))
    for reader in (letters, Reader(None, evil)):
        text = show(report, reader)
        assert text.encode()
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_huge_contents_are_cut() -> None:
    long = "word " * 400_000
    big = replace(FAILED, completion=replace(FAILED.completion, text=long), results=(CheckResult("json", False, long),))  # noqa: FBT003
    report = report_of(big, replace(big, completion=replace(big.completion, text=f"{long}!")))
    asked = replace(report.cases[0].case, messages=(replace(report.cases[0].case.messages[0], content=long),))
    text = show(replace(report, cases=(replace(report.cases[0], case=asked),)))
    assert len(text) < 100_000
    assert "characters ...]" in text
