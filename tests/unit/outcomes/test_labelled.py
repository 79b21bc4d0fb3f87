"""What people can be asked about a check, and which answers a label stands for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.labelled import graded, paired_samples, pairs_of, sample_of
from pytest_quantgate.outcomes.model import Comparison, Outcome


def case(name: str = "one", check: CheckSpec | None = None, cluster: str | None = None) -> Case:
    return Case(
        name,
        (Message("user", f"Ask {name}."),),
        (check or CheckSpec("judge", {"rubric": "polite"}),),
        8,
        cluster=cluster,
    )


def answered(text: str, *, followed: bool | None = True, check: str = "judge") -> Outcome:
    result = CheckResult(check, followed, "")
    return Outcome(Completion(text, (), "stop", 1), (result,), followed, None if followed is not None else "unsure")


def compared(name: str, before: tuple[str, bool | None], after: tuple[str, bool | None]) -> Comparison:
    return Comparison(case(name), answered(before[0], followed=before[1]), answered(after[0], followed=after[1]))


def test_a_label_is_bound_to_prompt_check_and_text_and_to_nothing_else() -> None:
    (one,) = graded(case(), answered("Hello"))
    same = [
        (case(), answered("Hello", followed=False)),
        (replace(case(), max_new_tokens=99, tags=("x",)), answered("Hello")),
    ]
    others = [
        (case("two"), answered("Hello")),
        (case(check=CheckSpec("judge", {"rubric": "short"})), answered("Hello")),
        (replace(case(), answer_prefix="Well"), answered("Hello")),
        (case(), answered("Hello ")),
    ]
    assert {next(graded(*each)).key for each in same} == {one.key}
    assert len({one.key, *(next(graded(*each)).key for each in others)}) == 5


def test_a_later_turn_is_asked_about_behind_the_answers_before_it() -> None:
    turns = Case(
        "talk",
        (Message("user", "Hi."),),
        (CheckSpec("judge", {"rubric": "a"}),),
        8,
        later=(Turn("And?", (CheckSpec("judge", {"rubric": "b"}),), 8),),
    )
    outcome = Outcome(
        answered("Hello").completion,
        (CheckResult("judge", followed=True, reason=""), CheckResult("judge", followed=False, reason="")),
        passed=False,
        turns=(answered("Hello"), answered("Bye", followed=False)),
    )
    first, second = graded(turns, outcome)
    assert (first.turn, first.text, first.followed, first.check.arguments) == (1, "Hello", True, {"rubric": "a"})
    assert (second.turn, second.text, second.followed, second.check.arguments) == (2, "Bye", False, {"rubric": "b"})
    assert [message.content for message in second.case.messages] == ["Hi.", "Hello", "And?"]


def test_an_answer_that_is_not_there_is_nothing_to_ask_about() -> None:
    none = Outcome(
        Completion("", (), "context", 9, problem="does not fit"), (CheckResult("judge", None, ""),), None, "x"
    )
    assert list(graded(case(), none)) == []
    assert pairs_of([Comparison(case(), none, answered("Hello"))]) == {}


def test_labels_stand_for_the_answers_of_their_stratum() -> None:
    cases = [compared(f"same-{n}", (f"t{n}", True), (f"t{n}", True)) for n in range(8)]
    cases += [compared(f"broke-{n}", (f"t{n}", True), (f"u{n}", False)) for n in range(2)]
    (pairs,) = pairs_of(cases).values()
    labels = {pairs[0].candidate.key: True, pairs[1].candidate.key: False, pairs[9].candidate.key: True}
    found = sample_of(pairs, labels, "candidate")
    assert [(each.followed, each.label, each.weight) for each in found.ratings] == [
        (True, True, 4.0),
        (True, False, 4.0),
        (False, True, 2.0),
    ]
    assert (found.answers, found.covered, found.unscored) == (10, 1.0, 0)
    # both share the text, so the label of the candidate's answer is one of the reference's
    reference = sample_of(pairs, labels, "reference")
    assert [each.weight for each in reference.ratings] == [4.0, 4.0]
    assert reference.covered == pytest.approx(0.8)


def test_a_verdict_that_the_check_did_not_give_is_no_disagreement() -> None:
    (pairs,) = pairs_of([compared("a", ("x", True), ("y", None)), compared("b", ("x", True), ("z", True))]).values()
    labels = {pair.candidate.key: True for pair in pairs}
    found = sample_of(pairs, labels, "candidate")
    assert (len(found.ratings), found.unscored, found.answers) == (1, 1, 1)
    assert paired_samples(pairs, {**labels, **{pair.reference.key: True for pair in pairs}})[0] == (
        *paired_samples(pairs[1:], {pairs[1].reference.key: True, pairs[1].candidate.key: True})[0],
    )


def test_cases_of_one_cluster_are_drawn_together() -> None:
    cases = [replace(compared(str(n), ("x", True), ("y", True)), case=case(str(n), cluster="c")) for n in range(2)]
    (pairs,) = pairs_of(cases).values()
    assert {pair.group for pair in pairs} == {"c"}


VERDICT = st.sampled_from([True, False, None])
PAIR = st.tuples(VERDICT, VERDICT, st.booleans(), st.sampled_from([True, False, None]), st.booleans())


@settings(deadline=None)
@given(st.lists(PAIR, max_size=40))
def test_weights_add_up_to_the_answers_that_labels_stand_for(drawn: list[tuple[bool | None, ...]]) -> None:
    cases, labels = [], {}
    for number, (before, after, same, said, both) in enumerate(drawn):
        texts = f"t{number}", f"t{number}" if same else f"u{number}"
        cases.append(compared(f"c{number}", (texts[0], before), (texts[1], after)))
        pair = next(iter(pairs_of(cases[-1:]).values()))[0]
        if said is not None:
            labels[pair.candidate.key] = said
            if both:
                labels[pair.reference.key] = said
    for pairs in pairs_of(cases).values():
        for side in ("reference", "candidate"):
            found = sample_of(pairs, labels, side)
            covered = 0 if found.covered is None else found.covered * found.answers
            assert sum(each.weight for each in found.ratings) == pytest.approx(covered)
            assert all(each.weight >= 1 for each in found.ratings)
        first, second = paired_samples(pairs, labels)
        assert [each.weight for each in first] == [each.weight for each in second]
