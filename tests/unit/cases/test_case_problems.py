"""Everything that can be wrong with a case: where it is told, and in which words."""

from __future__ import annotations

import pytest

from tests.unit.cases.conftest import Folder, told

TAIL = "checks: [json]"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        pytest.param("just text", "a case must be a mapping, not the text 'just text'", id="text"),
        pytest.param(f"{{prompt: p, {TAIL}}}", "a case needs the key 'id'", id="no id"),
        pytest.param(
            f"{{id: 17, prompt: p, {TAIL}}}", "'id' must be text, not the number 17: quote it", id="number as id"
        ),
        pytest.param(f"{{id: '', prompt: p, {TAIL}}}", "'id' must not be empty", id="empty id"),
        pytest.param(
            f"{{id: 'a::b', prompt: p, {TAIL}}}",
            "'id' 'a::b' holds '::', which separates the parts of a node id",
            id="id with colons",
        ),
        pytest.param(
            f'{{id: "a\\nb", prompt: p, {TAIL}}}',
            "'id' 'a\\nb' holds a character that cannot be printed",
            id="id with a line break",
        ),
        pytest.param(
            f"{{id: {'x' * 201}, prompt: p, {TAIL}}}", "'id' has 201 characters; at most 200 are allowed", id="long id"
        ),
        pytest.param(
            f"{{id: a, promt: q, prompt: p, {TAIL}}}",
            "unknown key 'promt' in a case; did you mean 'prompt'?",
            id="unknown key",
        ),
        pytest.param(f"{{id: a, {TAIL}}}", "a case needs the key 'prompt', 'messages' or 'turns'", id="no prompt"),
        pytest.param(f"{{id: a, prompt: ' ', {TAIL}}}", "'prompt' must not be empty", id="empty prompt"),
        pytest.param(
            f"{{id: a, prompt: p, messages: [{{role: user, content: p}}], {TAIL}}}",
            "a case has 'prompt' or 'messages', not both",
            id="prompt and messages",
        ),
        pytest.param(f"{{id: a, messages: [], {TAIL}}}", "'messages' must not be empty", id="no messages"),
        pytest.param(
            f"{{id: a, messages: [p], {TAIL}}}",
            "a message must be a mapping, not the text 'p'",
            id="message of another type",
        ),
        pytest.param(
            f"{{id: a, messages: [{{role: user}}], {TAIL}}}", "a message needs the key 'content'", id="no content"
        ),
        pytest.param(
            f"{{id: a, messages: [{{role: usr, content: p}}], {TAIL}}}",
            "unknown role 'usr'; did you mean 'user'?",
            id="unknown role",
        ),
        pytest.param(
            f"{{id: a, messages: [{{role: user, content: p}}, {{role: assistant, content: q}}], {TAIL}}}",
            "the last message must be the user's: it is the one to answer",
            id="assistant last",
        ),
        pytest.param(
            "{id: a, checks: [json], messages: "
            "[{role: user, content: p}, {role: system, content: s}, {role: user, content: p}]}",
            "only the first message can be the system's",
            id="system in the middle",
        ),
        pytest.param(
            f"{{id: a, system: s, messages: [{{role: system, content: s}}, {{role: user, content: p}}], {TAIL}}}",
            "a case has 'system' or a system message, not both",
            id="two systems",
        ),
        pytest.param("{id: a, prompt: p}", "a case needs the key 'checks'", id="no checks"),
        pytest.param("{id: a, prompt: p, checks: []}", "'checks' must not be empty", id="empty checks"),
        pytest.param(
            "{id: a, prompt: p, checks: json}",
            "'checks' must be a list, not the text 'json'",
            id="checks of another type",
        ),
        pytest.param(
            "{id: a, prompt: p, checks: [3]}",
            "a check must be a name, or one name with its arguments, not the number 3",
            id="check of another type",
        ),
        pytest.param(
            "{id: a, prompt: p, checks: [{json: , regex: x}]}",
            "a check must be a name, or one name with its arguments, not a mapping",
            id="two checks in one",
        ),
        pytest.param(
            "{id: a, prompt: p, checks: [contains: {all: [.nan]}]}",
            "nan is not a finite number",
            id="argument that JSON cannot say",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, max_new_tokens: true}}",
            "'max_new_tokens' must be a whole number from 1 to 32768, not true or false: True",
            id="limit of another type",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, max_new_tokens: 1000000}}",
            "'max_new_tokens' must be a whole number from 1 to 32768, not 1000000",
            id="absurd limit",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, tags: json}}",
            "'tags' must be a list, not the text 'json'",
            id="tags of another type",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, tags: [1]}}",
            "a tag must be text, not the number 1: quote it",
            id="number as tag",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, tags: [a b]}}",
            "tag 'a b' cannot be a marker: use letters, digits, '_' and '-', no digit first",
            id="tag that is no marker",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, tags: [skip]}}",
            "tag 'skip' has a meaning of its own in pytest: choose another",
            id="tag that would skip the case",
        ),
        pytest.param(
            f"{{id: a, prompt: p, {TAIL}, tags: [__xfail]}}",
            "tag '__xfail' has a meaning of its own in pytest: choose another",
            id="tag whose marker is one of pytest's",
        ),
        pytest.param(f"{{id: a, prompt: p, {TAIL}, tags: [t, t]}}", "duplicate tag 't'", id="duplicate tag"),
        pytest.param(f"{{id: a, prompt: p, {TAIL}, cluster: [a]}}", "'cluster' must be text, not a list", id="cluster"),
    ],
)
def test_problem_of_a_case(folder: Folder, case: str, message: str) -> None:
    assert folder.problems(f"slice: s\ncases:\n  - {case}\n") == [told(3, message)]


def test_an_unknown_check_gets_the_nearest_name(folder: Folder) -> None:
    (problem,) = folder.problems("slice: s\ncases:\n - id: a\n   prompt: p\n   checks:\n    - jsn_schema: {}\n")
    assert problem.startswith(told(6, "unknown check 'jsn_schema'"))
    assert "'json_schema'" in problem


def test_arguments_that_do_not_fit_a_check_are_told_each(folder: Folder) -> None:
    problems = folder.problems(
        "slice: s\ncases:\n - id: a\n   prompt: p\n   checks:\n    - needle: {texts: x, distractors: 3}\n"
    )
    assert len(problems) == 3
    assert all(problem.startswith(told(6, "")) for problem in problems)


def test_a_repeated_id_is_told_with_its_first_line(folder: Folder) -> None:
    text = f"slice: s\ncases:\n - {{id: a, prompt: p, {TAIL}}}\n - {{id: a, prompt: q, {TAIL}}}\n"
    assert folder.problems(text) == [told(4, "duplicate id 'a' (first on line 3)")]


@pytest.mark.parametrize(
    ("case_id", "what"), [("gate", "the slice's gate result"), ("drift", "the result of the slice's drift gate")]
)
def test_the_ids_of_gate_results_are_taken(case_id: str, what: str, folder: Folder) -> None:
    text = f"slice: s\ncases:\n - {{id: {case_id}, prompt: p, {TAIL}}}\n"
    assert folder.problems(text) == [told(3, f"id '{case_id}' is taken: it names {what}")]
