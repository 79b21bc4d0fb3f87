from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.model import Slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands import lines, recorded
from pytest_quantgate.commands.recorded import Recording, Source, read_recording
from pytest_quantgate.errors import Problem, UsageError
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.grading import outcome_of_turns
from tests.unit.cli.recorded import write_answers, write_slice

TALK = """\
slice: talk
cases:
  - id: two
    turns:
      - {prompt: What is 7 + 5?, checks: [{number: 12}]}
      - {prompt: And 1 more?, checks: [{number: 13}]}
"""
KNOWN = """\
slice: known
cases:
  - {id: capital, prompt: Of France?, answer_prefix: It is, checks: [{recall: Paris}]}
"""
MEASURED: dict[str, Any] = {
    "text": "Paris",
    "token_ids": [5],
    "ranks": [1],
    "ties": [0],
    "log_probabilities": [-0.1],
    "problem": None,
}


def loaded(folder: Path, text: str) -> Slice:
    path = folder / "one.slice.yaml"
    path.write_text(text)
    return load_slice(path, builtin_registry())


def sums(folder: Path, name: str = "sums") -> Slice:
    return load_slice(write_slice(folder, name, 3), builtin_registry())


def read(path: str, *slices: Slice) -> tuple[Recording, list[str]]:
    found: list[Problem] = []
    recording = read_recording(Source("x", path), slices, found)
    assert all(problem.path == path for problem in found)
    return recording, [f"{problem.line}: {problem.message}" for problem in found]


def problem_of(folder: Path, line: object, *slices: Slice) -> str:
    """The only problem of a file with one good line and this one."""
    path = write_answers(folder / "a.jsonl", ["", line if isinstance(line, (str, bytes)) else json.dumps(line)])
    _, found = read(path, *(slices or (sums(folder),)))
    (told,) = found
    number, _, message = told.partition(": ")
    assert number == "2"
    return message


def test_an_answer_keeps_what_is_said_of_it(tmp_path: Path) -> None:
    line = {"slice": "sums", "id": "c1", "response": "One.", "finish_reason": "length", "tokens": 2, "engine": "any"}
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line]), sums(tmp_path))
    assert found == []
    assert recording.answers == {("sums", "c1"): (Completion("One.", (), "length", 0, counted=2),)}


def test_what_is_not_said_is_not_invented(tmp_path: Path) -> None:
    line = {"id": "c1", "response": "One.", "finish_reason": None, "tokens": None, "recall": None}
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line]), sums(tmp_path))
    assert found == []
    ((completion,),) = recording.answers.values()
    assert (completion.finish_reason, completion.counted, completion.length) == ("unknown", None, None)


def test_an_empty_answer_is_one(tmp_path: Path) -> None:
    recording, found = read(write_answers(tmp_path / "a.jsonl", [{"id": "c1", "response": ""}]), sums(tmp_path))
    assert found == []
    assert recording.answers["sums", "c1"][0].text == ""


def test_lines_may_be_blank_and_the_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    marked = b"\xef\xbb\xbf" + json.dumps({"id": "c1", "response": "1"}).encode() + b"\r"
    recording, found = read(write_answers(tmp_path / "a.jsonl", [marked, "", " "]), sums(tmp_path))
    assert (len(recording.answers), found) == (1, [])


def test_every_turn_has_its_answer(tmp_path: Path) -> None:
    line = {"id": "two", "responses": ["12", "13"], "finish_reason": ["stop", None], "tokens": [1, 2]}
    slice_ = loaded(tmp_path, TALK)
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line]), slice_)
    assert found == []
    (completions,) = recording.answers.values()
    assert [(each.text, each.finish_reason, each.counted) for each in completions] == [
        ("12", "stop", 1),
        ("13", "unknown", 2),
    ]
    assert outcome_of_turns(slice_.cases[0], completions, builtin_registry()).passed is True


def test_one_turn_may_be_a_list_too(tmp_path: Path) -> None:
    line = {"id": "c1", "responses": ["It is 1."], "tokens": [4]}
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line]), sums(tmp_path))
    assert found == []
    assert recording.answers["sums", "c1"][0].counted == 4


@pytest.mark.parametrize("missing", [False, True])
def test_recall_is_scored_where_it_was_measured(missing: bool, tmp_path: Path) -> None:  # noqa: FBT001
    line = {"id": "capital", "response": " Paris"} | ({} if missing else {"recall": [MEASURED]})
    slice_ = loaded(tmp_path, KNOWN)
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line]), slice_)
    assert found == []
    outcome = outcome_of_turns(slice_.cases[0], recording.answers["known", "capital"], builtin_registry())
    assert outcome.passed is (None if missing else True)
    assert not missing or "a model that is run here" in str(outcome.unscored)


@pytest.mark.parametrize(
    "recall",
    [
        "Paris",
        [MEASURED | {"ranks": ["1"]}],
        [MEASURED | {"ranks": [0]}],
        [MEASURED | {"ranks": [1, 2]}],
        [MEASURED | {"ranks": [], "ties": [], "token_ids": [], "log_probabilities": []}],
        [MEASURED | {"ties": [-1]}],
        [MEASURED | {"log_probabilities": [0.5]}],
        [{"ranks": [1]}],
        [7],
    ],
)
def test_recall_that_cannot_have_been_measured_is_told(recall: object, tmp_path: Path) -> None:
    line = {"id": "capital", "response": "", "recall": recall}
    assert problem_of(tmp_path, line, loaded(tmp_path, KNOWN)).startswith("'recall' ")


@pytest.mark.parametrize("recall", ["\ud800", [MEASURED | {"ranks": ["\ud800"]}], [MEASURED | {"\ud800": 1}]])
def test_half_a_surrogate_pair_in_recall_is_told_once(recall: object, tmp_path: Path) -> None:
    line = {"id": "capital", "response": "", "recall": recall}
    assert "half of a surrogate pair" in problem_of(tmp_path, line, loaded(tmp_path, KNOWN))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "bad JSON"),
        ("NaN", "bad JSON"),
        ('{"id": "c1", "id": "c2"}', "duplicate key 'id'"),
        ("[1]", "a line must hold an object"),
        (b'{"id": "\xff"}', "not UTF-8"),
        ("[" * 100_000, "nested"),
        ({"response": ""}, "needs the key 'id'"),
        ({"id": 1, "response": ""}, "'id' must be text"),
        ({"id": "c1", "slice": 3, "response": ""}, "'slice' must be text"),
        ({"id": "c1", "slice": "sum", "response": ""}, "unknown slice 'sum'; did you mean 'sums'?"),
        ({"id": "c11", "response": ""}, "slice 'sums' has no case 'c11'; did you mean 'c1'?"),
        ({"id": "c1"}, "needs one of the keys 'response' and 'responses'"),
        ({"id": "c1", "response": "", "responses": [""]}, "needs one of the keys 'response' and 'responses'"),
        ({"id": "c1", "response": None}, "'response' must not be nothing"),
        ({"id": "c1", "response": 1}, "a response must be text"),
        ({"id": "c1", "response": "\ud800"}, "half of a surrogate pair"),
        ({"id": "c1", "responses": []}, "'responses' beside 'responses' must not be empty"),
        ({"id": "c1", "responses": ["", ""]}, "'responses' holds 2, and the case has 1 turn"),
        ({"id": "c1", "responses": [""], "tokens": 3}, "'tokens' beside 'responses' must be a list"),
        ({"id": "c1", "response": "", "finish_reason": "tool_calls"}, "'finish_reason' must be stop or length"),
        ({"id": "c1", "response": "", "finish_reason": 3}, "'finish_reason' must be text"),
        ({"id": "c1", "response": "", "tokens": -1}, "'tokens' must be a whole number"),
        ({"id": "c1", "response": "", "tokens": 1.5}, "'tokens' must be a whole number"),
        ({"id": "c1", "response": "", "tokens": 10**400}, "'tokens' must be a whole number"),
    ],
)
def test_a_line_that_is_wrong_is_told(line: object, told: str, tmp_path: Path) -> None:
    assert told in problem_of(tmp_path, line)


def test_a_case_of_several_turns_needs_as_many_answers(tmp_path: Path) -> None:
    slice_ = loaded(tmp_path, TALK)
    assert "the case has 2 turns" in problem_of(tmp_path, {"id": "two", "response": "12"}, slice_)
    assert "holds 1, and the case has 2 turns" in problem_of(tmp_path, {"id": "two", "responses": ["12"]}, slice_)


def test_several_slices_must_be_told_apart(tmp_path: Path) -> None:
    both = sums(tmp_path), sums(tmp_path, "more")
    assert "needs the key 'slice'" in problem_of(tmp_path, {"id": "c1", "response": ""}, *both)
    lines_ = [{"slice": name, "id": "c1", "response": name} for name in ("sums", "more")]
    recording, found = read(write_answers(tmp_path / "b.jsonl", lines_), *both)
    assert found == []
    assert [recording.answers[name, "c1"][0].text for name in ("sums", "more")] == ["sums", "more"]


def test_a_second_answer_is_told_with_the_line_of_the_first(tmp_path: Path) -> None:
    line = {"id": "c1", "response": "1"}
    recording, found = read(write_answers(tmp_path / "a.jsonl", [line, "", line]), sums(tmp_path))
    assert found == ["3: a second answer to 'c1' of 'sums': line 1 has one"]
    assert len(recording.answers) == 1


def test_a_file_that_is_none_of_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST_BAD", 5)
    _, found = read(write_answers(tmp_path / "a.jsonl", ["nonsense"] * 9), sums(tmp_path))
    assert [told.partition(":")[0] for told in found] == ["1", "2", "3", "4", "5", "5"]


def test_the_nearest_name_is_looked_up_for_a_few_only(tmp_path: Path) -> None:
    wrong = [{"id": f"c1{number}", "response": ""} for number in range(50)]
    _, found = read(write_answers(tmp_path / "a.jsonl", wrong), sums(tmp_path))
    assert sum("did you mean" in told for told in found) == recorded.MOST_HINTS
    assert len(found) == 50


def test_a_line_that_is_too_long_to_be_an_answer_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    path = write_answers(tmp_path / "a.jsonl", [{"id": "c1", "response": ""}, "x" * 101])
    with pytest.raises(UsageError, match=r"a\.jsonl:2: longer than"):
        read(path, sums(tmp_path))


@pytest.mark.parametrize("name", ["nowhere", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(name, sums(tmp_path))


@pytest.mark.parametrize(
    ("text", "name", "file"),
    [
        ("int4.jsonl", "int4", "int4.jsonl"),
        ("runs/int4.2.jsonl", "int4.2", "runs/int4.2.jsonl"),
        ("int4=runs/x=1.jsonl", "int4", "runs/x=1.jsonl"),
        ("runs/x=1.jsonl", "x=1", "runs/x=1.jsonl"),
        ("the small one=-", "the small one", "-"),
    ],
)
def test_a_file_is_called_by_its_stem_or_by_a_name_of_its_own(text: str, name: str, file: str) -> None:
    assert Source.parse(text) == Source(name, file)


@pytest.mark.parametrize("text", ["", "=", "a=", "=a", " =a", "a\x1b=b", "a\x1b.jsonl", "a::b=c", "n" * 201 + "=a"])
def test_a_name_that_cannot_be_shown_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write NAME=FILE") as refused:
        Source.parse(text)
    assert str(refused.value).replace("\n", "").isprintable()


KEYS = st.sampled_from(["slice", "id", "response", "responses", "finish_reason", "tokens", "recall", "other"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["sums", "c0", "c1"])
)
VALUES = (
    SCALARS
    | st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=3)
    | st.dictionaries(KEYS | st.text(max_size=4), SCALARS | st.lists(SCALARS, max_size=3), max_size=3)
)
LINES = st.binary(max_size=40) | st.dictionaries(KEYS, VALUES).map(lambda line: json.dumps(line).encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@pytest.fixture(scope="module")
def three(folder: Path) -> Slice:
    return sums(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(content=st.lists(LINES, max_size=5))
@example(content=[b'{"id": "c1", "response": "", "recall": [{"text": "", "ranks": [' + b"9" * 400 + b"]}]}"])
@example(content=[b'{"id": "c1", "response": "", "recall": [{"text": "", "log_probabilities": [1e999]}]}'])
def test_whatever_a_file_holds_each_line_is_an_answer_or_a_problem(
    content: list[bytes], folder: Path, three: Slice
) -> None:
    written = b"\n".join(content)
    path = folder / "any.jsonl"
    path.write_bytes(written)
    recording, found = read(str(path), three)
    filled = [line for line in written.split(b"\n") if line.decode("utf-8-sig", "replace").strip()]
    assert len(recording.answers) + len({told.partition(":")[0] for told in found}) == len(filled)
    assert {key[1] for key in recording.answers} <= {case.id for case in three.cases}
