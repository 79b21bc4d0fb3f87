"""What a case asks about: marked for a diagnosis, and without a say in what is asked, graded or anchored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantgate.cases.generators.facts import relations
from pytest_quantgate.cases.model import Case
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.golden.entries import digests
from pytest_quantgate.outcomes.labelled import Graded
from pytest_quantgate.report.sides import asked_of
from tests.unit.cases.conftest import Folder, told

TAIL = "checks: [recall: Paris]"
CHAT = "[{role: user, content: Of Spain?}, {role: assistant, content: Madrid}, {role: user, content: Of France?}]"
ASKED = "prompt: What is the capital of France?, answer_prefix: The capital is"


def the_case(folder: Folder, text: str) -> Case:
    (case,) = folder.load(f"slice: s\ncases:\n  - {{id: a, {text}, {TAIL}}}\n").cases
    return case


@pytest.mark.parametrize("subject", ["France", "capital", "The capital is"])
def test_a_subject_stands_in_the_prompt_or_where_the_answer_begins(folder: Folder, subject: str) -> None:
    assert the_case(folder, f"{ASKED}, subject: {subject}").subject == subject


def test_most_cases_mark_none(folder: Folder) -> None:
    assert the_case(folder, ASKED).subject == ""


def test_a_subject_changes_nothing_that_answers_goldens_labels_and_comparisons_are_bound_to(folder: Folder) -> None:
    plain, marked = the_case(folder, ASKED), the_case(folder, f"{ASKED}, subject: France")
    assert marked == replace(plain, subject="France")
    assert Request.of(marked) == Request.of(plain)
    assert digests(marked) == digests(plain)
    assert asked_of(marked) == asked_of(plain)
    assert Graded(marked, 1, 0, "Paris", followed=True).key == Graded(plain, 1, 0, "Paris", followed=True).key


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (f"{ASKED}, subject: Spain, {TAIL}", "subject 'Spain' stands neither in the prompt nor in 'answer_prefix'"),
        (f"{ASKED}, subject: france, {TAIL}", "subject 'france' stands neither in the prompt nor in 'answer_prefix'"),
        (
            f"messages: {CHAT}, subject: Spain, {TAIL}",
            "subject 'Spain' stands neither in the prompt nor in 'answer_prefix'",
        ),
        (f"{ASKED}, subject: '', {TAIL}", "'subject' must not be empty"),
        (f"{ASKED}, subject: 7, {TAIL}", "'subject' must be text, not the number 7: quote it"),
        (f"prompt: 7, subject: France, {TAIL}", "'prompt' must be text, not the number 7: quote it"),
        ("turns: [{prompt: Of France?, checks: [json]}], subject: France", "a case has 'subject' or 'turns', not both"),
    ],
)
def test_problem_of_a_subject(folder: Folder, case: str, message: str) -> None:
    assert folder.problems(f"slice: s\ncases:\n  - {{id: a, {case}}}\n") == [told(3, message)]


def test_facts_mark_their_subject_where_the_answer_begins(folder: Folder) -> None:
    cases = folder.load("slice: s\ngenerate: {generator: facts, seed: 1}\n").cases
    assert {case.subject.lower() for case in cases} == {
        subject.lower() for relation in relations().values() for subject in relation.answers
    }
    assert all(case.subject in case.answer_prefix for case in cases)


def test_cousins_keep_a_subject_that_is_still_there(folder: Folder) -> None:
    original = f"{{id: a, prompt: Tell me all about good old Rome., subject: good old, {TAIL}}}"
    folder.write(f"slice: other\ncases:\n  - {original}\n", "other.slice.yaml")
    cousins = "generator: perturb, slice: other.slice.yaml, seed: 3, kinds: [typos, spacing], per_case: 9"
    found = folder.load(f"slice: s\ngenerate: {{{cousins}}}\n").cases
    assert {case.subject for case in found} == {"", "good old"}
    assert {case.subject for case in found if "good old" in case.prompt} == {"good old"}
