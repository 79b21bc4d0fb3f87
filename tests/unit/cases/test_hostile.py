"""Files that nobody wrote in good faith: they cost a clear message and little else."""

from __future__ import annotations

import contextlib
import json
import tracemalloc

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases import files
from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.errors import SliceError
from tests.unit.cases.conftest import Folder

no_new_folder = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.sampled_from(
    [
        "slice",
        "cases",
        "gate",
        "defaults",
        "generate",
        "id",
        "prompt",
        "messages",
        "checks",
        "tags",
        "json",
        "regex",
        "role",
        "user",
        "generator",
        "needle",
        "seed",
        "depths",
        "lengths",
        "tokens",
        "texts",
        "questions",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | words
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6), max_leaves=25
)


@no_new_folder
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_raise_anything_but_a_slice_error(folder: Folder, data: bytes) -> None:
    with contextlib.suppress(SliceError):
        folder.load(data)


@no_new_folder
@given(document=documents)
def test_no_document_raises_anything_but_a_slice_error(folder: Folder, document: object) -> None:
    with contextlib.suppress(SliceError):
        folder.load(yaml.safe_dump(document, allow_unicode=True))


@no_new_folder
@given(lines=st.lists(documents.map(json.dumps) | st.text(max_size=30), max_size=5))
def test_no_json_lines_raise_anything_but_a_slice_error(folder: Folder, lines: list[str]) -> None:
    folder.write("\n".join(lines).encode("utf-8", "replace"), "c.jsonl")
    with contextlib.suppress(SliceError):
        folder.load("slice: s\ncases: c.jsonl\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("slice: s\ncases: [\n", 3, "while parsing a flow node, did not find expected node content"),
        ("slice: s\ncases: @x\n", 2, "while scanning for the next token, found character that cannot start any token"),
        ("slice: s\nx: \x07\n", 2, "character U+0007 is not allowed"),
        ("slice: s\n---\nslice: t\n", 2, "a second document begins"),
    ],
)
def test_bad_yaml_is_one_problem_with_its_line(folder: Folder, text: str, line: int, message: str) -> None:
    assert folder.problems(text) == [f"s.slice.yaml:{line}: bad YAML: {message}"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_it_costs_anything(folder: Folder, opening: str) -> None:
    problems = folder.problems(f"slice: s\ncases:\n  {opening * 65}")
    assert problems == ["s.slice.yaml:3: bad YAML: nested deeper than 64 levels"]


def test_a_billion_laughs_stay_a_few_lines(folder: Folder) -> None:
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = f"l0: &l0 ha\n{laughs}slice: s\ncases: *l29\n"
    folder.problems(text)  # what it imports takes memory once
    tracemalloc.start()
    problems = folder.problems(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "s.slice.yaml:2: aliases ('*l0') are not supported: write the value out" in problems
    assert peak < 2**20


def test_a_merge_key_is_a_key_like_any_other(folder: Folder) -> None:
    problems = folder.problems("slice: s\n<<: {description: d}\ncases: [{id: a, prompt: p, checks: [json]}]\n")
    known = "cases, dataset, defaults, description, gate, generate, slice"
    assert problems == [f"s.slice.yaml:2: unknown key '<<' in a slice file; known: {known}"]


def test_a_key_that_is_no_text_is_told(folder: Folder) -> None:
    text = "slice: s\ncases: [{id: a, prompt: p, checks: [json]}]\n? [a]\n: b\n"
    assert folder.problems(text) == ["s.slice.yaml:3: a key must be plain text"]


def test_a_tag_runs_nothing(folder: Folder) -> None:
    marker = folder.path / "ran"
    problems = folder.problems(f"slice: s\ncases: !!python/object/apply:pathlib.Path.touch ['{marker}']\n")
    assert "s.slice.yaml:2: tags ('!!python/object/apply:pathlib.Path.touch')" in problems[1]
    assert not marker.exists()


def test_a_long_key_is_cut_in_the_message(folder: Folder) -> None:
    (problem,) = folder.problems(f"slice: s\n? {'k' * 100_000}\n: 1\ncases: [{{id: a, prompt: p, checks: [json]}}]\n")
    assert len(problem) < 250


def test_a_file_that_is_not_utf_8_is_told_with_the_line(folder: Folder) -> None:
    problems = folder.problems("slice: s\ndescription: é\n".encode("latin-1"))
    assert problems == ["s.slice.yaml:2: not UTF-8: byte 0xe9 (invalid continuation byte)"]


def test_a_folder_is_no_slice_file(folder: Folder) -> None:
    with pytest.raises(SliceError, match=":1: not a regular file"):
        load_slice(folder.path, folder.catalog)


def test_a_huge_file_is_not_read_to_its_end(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    problems = folder.problems(b"#" * (2**20 + 1))
    assert problems == ["s.slice.yaml:1: larger than 1 MiB: split it into several slices"]
