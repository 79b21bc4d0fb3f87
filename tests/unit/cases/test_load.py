"""What a valid slice file says, and how several files are loaded together."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cases.load import load_slice, load_slices
from pytest_quantgate.cases.model import Case, CheckSpec, Location, Message, PolicySettings
from pytest_quantgate.errors import SliceError
from tests.unit.cases.conftest import Folder

FULL = """\
slice: format
description: >
  answers that a program
  will parse
gate: {max_pass_to_fail: 0.02, min_robustness: 1, min_cases: 30, max_unscored: 0}
defaults: {max_new_tokens: 160, system: Answer with JSON only.}
cases:
  - id: person flat/1 [ü]
    prompt: Write JSON.
    checks: [json, contains: Alice, number: {value: 3}]
    tags: [json, flat]
    cluster: person
  - id: chat
    messages:
      - {role: user, content: Hello}
      - {role: assistant, content: Hi}
      - {role: user, content: Write JSON.}
    checks:
      - json
    system: ""
    max_new_tokens: 5
"""
MINIMAL = "slice: {name}\ncases: [{{id: a, prompt: b, checks: [json]}}]\n"


def test_every_key_reaches_the_slice(folder: Folder) -> None:
    loaded = folder.load(FULL)
    assert loaded.name == "format"
    assert loaded.description == "answers that a program will parse"
    assert loaded.policy == PolicySettings(max_pass_to_fail=0.02, min_robustness=1.0, min_cases=30, max_unscored=0.0)
    assert loaded.location == Location("s.slice.yaml", 1)
    flat, chat = loaded.cases
    assert flat.id == "person flat/1 [ü]"
    assert flat.messages == (Message("system", "Answer with JSON only."), Message("user", "Write JSON."))
    assert [check.name for check in flat.checks] == ["json", "contains", "number"]
    assert (flat.max_new_tokens, flat.tags, flat.cluster) == (160, ("flat", "json"), "person")
    assert flat.location == Location("s.slice.yaml", 8)
    assert [message.role for message in chat.messages] == ["user", "assistant", "user"]
    assert (chat.max_new_tokens, chat.tags, chat.cluster) == (5, (), None)


def test_a_file_that_says_little_gets_the_defaults(folder: Folder) -> None:
    loaded = folder.load(MINIMAL.format(name="s"))
    assert loaded.cases == (
        Case("a", (Message("user", "b"),), (CheckSpec("json", {}),), 128, location=Location("s.slice.yaml", 2)),
    )
    assert (loaded.description, loaded.policy) == ("", PolicySettings())


def test_a_system_message_of_the_case_stands_in_for_the_default_one(folder: Folder) -> None:
    loaded = folder.load(
        "slice: s\ndefaults: {system: default}\ncases:\n"
        "  - {id: a, prompt: p, checks: [json], system: own}\n"
        "  - {id: b, messages: [{role: system, content: own}, {role: user, content: p}], checks: [json]}\n"
    )
    assert [case.messages[0] for case in loaded.cases] == [Message("system", "own")] * 2


def test_cases_may_stand_in_a_file_of_json_lines_beside_the_slice(folder: Folder) -> None:
    folder.write(
        '{"id": "a", "prompt": "p", "checks": ["json"]}\r\n\n'
        '{"id": "b", "prompt": "line\u2028break", "checks": [{"contains": "x"}], "tags": ["t"]}',
        "data/people.jsonl",
    )
    first, second = folder.load("slice: s\ndefaults: {max_new_tokens: 9}\ncases: data/people.jsonl\n").cases
    assert (first.id, first.max_new_tokens, str(first.location)) == ("a", 9, "data/people.jsonl:1")
    assert (second.prompt, second.tags, second.location.line) == ("line\u2028break", ("t",), 3)


def test_json_lines_are_shown_beside_the_slice_file(folder: Folder) -> None:
    folder.write('{"id": "a", "prompt": "p", "checks": ["json"]}', "people.jsonl")
    path = folder.write("slice: s\ncases: people.jsonl\n")
    (case,) = load_slice(path, folder.catalog, shown="suites/s.slice.yaml").cases
    assert case.location == Location(str(Path("suites/people.jsonl")), 1)


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Folder) -> None:
    assert folder.load(b"\xef\xbb\xbf" + MINIMAL.format(name="s").encode()).name == "s"


def test_several_files_load_in_the_order_given(folder: Folder) -> None:
    paths = [folder.write(MINIMAL.format(name=name), f"{name}.slice.yaml") for name in ("b", "a")]
    assert [loaded.name for loaded in load_slices(paths, folder.catalog)] == ["b", "a"]


def test_the_problems_of_all_files_come_together(folder: Folder) -> None:
    same = MINIMAL.format(name="same")
    paths = [folder.write(same, "a.slice.yaml"), folder.write(same, "b.slice.yaml"), folder.path / "c.slice.yaml"]
    with pytest.raises(SliceError) as caught:
        load_slices(paths, folder.catalog)
    a, b, c = paths
    assert [str(problem) for problem in caught.value.problems] == [
        f"{b}:1: duplicate slice 'same' (first at {a}:1)",
        f"{c}:1: no such file",
    ]
