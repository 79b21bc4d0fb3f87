from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.golden.compare import drift_of, stand
from pytest_quantgate.golden.entries import completions_of, digests, entry_of, outcome_of_entry
from pytest_quantgate.golden.model import Anchored, AnchoredAnswer, Golden, Standing
from pytest_quantgate.outcomes.model import Outcome, Transition
from tests.unit.golden.build import ANCHOR, golden
from tests.unit.outcomes.build import case, outcome


def anchored(each: Case, then: Outcome) -> Golden:
    return golden(Path(), entry_of(each, then, transition=Transition.PRESERVED, anchor=ANCHOR))


def standing(then: Outcome, now: Outcome | None, each: Case | None = None) -> Standing:
    """How a case that was answered so when it was anchored stands now."""
    each = each or case(checks=len(then.results))
    (found,) = stand(anchored(each, then), [each], {} if now is None else {each.id: now})
    return found


def test_the_same_answer_with_the_same_results_is_the_same() -> None:
    assert standing(outcome("+-"), outcome("+-")) == Standing("case", "same", "")


def test_another_wording_with_the_same_results_is_reworded() -> None:
    found = standing(outcome("+-"), outcome("+-", text="other words", tokens=(3,), ended="length"))
    assert found == Standing("case", "reworded", "another answer, the same results")


@pytest.mark.parametrize(
    ("then", "now", "reason"),
    [
        ("+", "-", "check1 was followed, is violated"),
        ("-", "+", "check1 was violated, is followed"),
        ("-+", "--", "check2 was followed, is violated"),
        ("+-", "-+", "check1 was followed, is violated; check2 was violated, is followed"),
    ],
)
def test_other_results_have_drifted_whichever_way(then: str, now: str, reason: str) -> None:
    found = standing(outcome(then), outcome(now, text="other words"))
    assert (found.case_id, found.state, found.reason) == ("case", "drifted", reason)


def test_what_drifted_says_what_was_anchored_without_its_measures() -> None:
    then = outcome("+", text="the old words")
    measured = Recall("Paris", (1,), (1,), (0,), (-0.5,))
    then = replace(then, completion=replace(then.completion, recall=(measured,)))
    found = standing(then, outcome("-", text="other words"))
    assert found.anchored == Anchored(then.results, (AnchoredAnswer("the old words", "stop", 2),))
    assert found.anchored
    assert outcome_of_entry(found.anchored).passed is True
    assert standing(then, outcome("+", text="other words")).anchored is None


def test_other_reasons_of_the_same_results_are_no_drift() -> None:
    now = replace(outcome("+"), results=(CheckResult("check1", followed=True, reason="put another way"),))
    assert standing(outcome("+"), now).state == "same"


def test_the_same_answer_with_other_results_says_that_the_grading_changed() -> None:
    found = standing(outcome("+"), outcome("-"))
    assert found.state == "drifted"
    assert found.reason == (
        "the grading changed, not the model: the answer is the same, and check1 was followed, is violated"
    )


def test_the_same_text_that_ended_otherwise_or_was_less_probable_is_the_models_own_drift() -> None:
    assert standing(outcome("+"), outcome("-", ended="length")).reason == "check1 was followed, is violated"
    recall = standing(outcome("+", names=["recall"]), outcome("-", names=["recall"]), case(names=["recall"]))
    assert recall.reason == "recall was followed, is violated"


def test_a_case_that_is_not_anchored_is_new() -> None:
    assert stand(None, [case()], {"case": outcome("+")}) == (Standing("case", "new", "it is not anchored"),)
    assert stand(None, [case()], {})[0].state == "new"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (replace(case(), messages=(Message("user", "Say something else."),)), "what it asks"),
        (replace(case(), messages=(Message("system", "Be brief."), Message("user", "Say something."))), "what it asks"),
        (replace(case(), max_new_tokens=17), "what it asks"),
        (replace(case(), answer_prefix="Well"), "what it asks"),
        (replace(case(), checks=(CheckSpec("check1", {"at_most": 3}),)), "its checks"),
        (replace(case(), checks=(CheckSpec("check1"), CheckSpec("check1"))), "its checks"),
        (replace(case(), max_new_tokens=17, checks=(CheckSpec("check2"),)), "what it asks and its checks"),
    ],
)
def test_a_case_whose_prompt_or_checks_changed_has_expired(changed: Case, what: str) -> None:
    (found,) = stand(anchored(case(), outcome("+")), [changed], {"case": outcome("+")})
    assert found == Standing("case", "expired", f"{what} changed since it was anchored")


def test_what_does_not_change_the_answer_or_its_grading_expires_nothing() -> None:
    moved = replace(case(), tags=("new",), cluster="people", location=replace(case().location, line=99))
    assert digests(moved) == digests(case())


def test_later_turns_belong_to_what_is_asked_and_checked() -> None:
    later = Turn("And now?", (CheckSpec("check1"),), 16)
    base = replace(case(), later=(later,))
    prompts, checks = zip(
        *(
            digests(replace(base, later=turns))
            for turns in (
                (),
                (later,),
                (later, later),
                (replace(later, prompt="And then?"),),
                (replace(later, max_new_tokens=8),),
            )
        ),
        strict=True,
    )
    assert len(set(prompts)) == 5
    assert len(set(checks)) == 3  # none, one turn, two turns
    other = replace(base, later=(replace(later, checks=(CheckSpec("check2"),)),))
    assert digests(other)[0] == digests(base)[0]
    assert digests(other)[1] != digests(base)[1]


def test_what_a_later_turn_wants_recalled_is_part_of_what_is_asked() -> None:
    one, other = (
        replace(case(), later=(Turn("And?", (CheckSpec("recall", {"answer": text}),), 16),)) for text in ("x", "y")
    )
    assert digests(one)[0] != digests(other)[0]


def test_what_is_anchored_and_no_case_any_more_is_unused_and_comes_last_by_id() -> None:
    entries = {each: anchored(case(each), outcome("+")).entries[each] for each in "ba"}
    found = stand(replace(anchored(case(), outcome("+")), entries=entries), [case("z")], {})
    assert [(each.case_id, each.state) for each in found] == [("z", "new"), ("a", "unused"), ("b", "unused")]


def test_what_could_not_be_graded_now_or_then_is_unscored() -> None:
    assert standing(outcome("+"), outcome("?")) == Standing("case", "unscored", "check1: not scorable")
    assert standing(outcome("+"), None) == Standing("case", "unscored", "it has no answer in this run")
    then = standing(outcome("?"), outcome("+"))
    assert then.state == "unscored"
    assert then.reason.startswith("it could not be graded when it was anchored: check1: ")


def test_turns_are_compared_one_by_one() -> None:
    asked = replace(case(), later=(Turn("And now?", (CheckSpec("check1"),), 16),))

    def of(first: str, second: str) -> Outcome:
        turns = (outcome("+", text=first), outcome("+", text=second))
        return replace(outcome("++"), turns=turns, completion=turns[0].completion)

    assert standing(of("x", "y"), of("x", "y"), asked).state == "same"
    assert standing(of("x", "y"), of("x", "z"), asked).state == "reworded"


def test_anchored_answers_come_back_as_completions() -> None:
    recall = Recall("four", (7,), (1,), (0,), (-0.5,))
    then = replace(outcome("+"), completion=Completion("four", (7,), "length", 9, (0.5,), recall=(recall,)))
    made = entry_of(case(), then, transition=Transition.DEGRADED, anchor=ANCHOR, accepted="shorter is fine")
    assert (made.transition, made.accepted) == ("pass_to_fail", "shorter is fine")
    (found,) = completions_of(made)
    assert found == Completion("four", (), "length", 0, recall=(recall,), counted=1)
    assert outcome_of_entry(made) == replace(then, completion=found)


def test_a_probability_that_json_cannot_write_is_anchored_as_not_measured() -> None:
    recall = Recall("four", (7,), (50_000,), (0,), (float("-inf"),))
    then = replace(outcome("+"), completion=Completion("x", (7,), "stop", 9, recall=(recall,)))
    (answer,) = entry_of(case(), then, transition=None, anchor=ANCHOR).answers
    assert answer.recall == (Recall("four", problem="its log-probability is not a finite number"),)


def test_what_the_drift_gate_is_given() -> None:
    cases = [case(each) for each in ("same", "drifted", "unscored", "expired", "missing", "new")]
    then = golden(
        Path(),
        *(
            entry_of(each, outcome("+"), transition=None, anchor=ANCHOR)
            for each in (*cases[:3], replace(cases[3], max_new_tokens=99), cases[4], case("gone"))
        ),
    )
    patterns = {"same": "+", "drifted": "-", "unscored": "?", "expired": "+", "new": "-"}
    now = {case_id: outcome(pattern) for case_id, pattern in patterns.items()}
    standings = stand(then, [*cases, case("left out")], now)
    found = drift_of(then, standings, cases, now, policy=GatePolicy(), total=7, problem=None)
    assert [each.case.id for each in found.comparisons] == ["same", "drifted", "unscored"]
    assert [each.candidate for each in found.comparisons] == [now[each.case.id] for each in found.comparisons]
    assert [each.reference.passed for each in found.comparisons] == [True, True, True]
    assert (found.slice, found.variant) == ("people", "nf4")
    assert (found.expired, found.missing, found.selected, found.total) == (1, 1, 6, 7)
