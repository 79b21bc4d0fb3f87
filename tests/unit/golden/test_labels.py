"""The file of labels: written whole, the same for equal labels, and every mistake in it told as FILE:LINE."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.errors import GoldenError, QuantgateError
from pytest_quantgate.golden.labels import Label, LabelBook, labels_path, load_labels, write_labels
from pytest_quantgate.golden.store import golden_path

NOBODY = 65534

LABEL = Label("alice", 1, "judge", "a" * 64, "b" * 64, "It is 12.", yes=True)


def book(path: Path, *labels: Label, digest: str = "") -> LabelBook:
    return LabelBook("people", path, {each.key: each for each in labels}, digest)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return labels_path(golden_path(tmp_path, "people", "fp16"))


def test_labels_lie_beside_the_goldens_of_their_slice(tmp_path: Path) -> None:
    assert labels_path(golden_path(tmp_path, "people", "nf4")) == tmp_path / "golden" / "people" / "labels.jsonl"


def test_no_variant_has_the_name_of_the_file(tmp_path: Path) -> None:
    golden = golden_path(tmp_path, "people", "labels")
    assert golden != labels_path(golden)


def test_what_is_written_is_read_back(file: Path) -> None:
    odd = replace(LABEL, answer='"= 1\n\u202e\x1b[31m\u2028', note="not, sure", yes=False)
    write_labels(book(file, LABEL, odd))
    found = load_labels(file, "people")
    assert found.labels == {each.key: each for each in (LABEL, odd)}
    assert found.by_check() == {"judge": {LABEL.key: True, odd.key: False}}
    assert file.read_bytes().isascii()
    assert len(file.read_text().splitlines()) == 3


@settings(deadline=None)
@given(st.permutations([replace(LABEL, case=f"c{n}", answer=f"text {n}") for n in range(6)]))
def test_equal_labels_give_equal_bytes(tmp_path_factory: pytest.TempPathFactory, drawn: list[Label]) -> None:
    folder = tmp_path_factory.mktemp("labels")
    for name, labels in (("one", sorted(drawn, key=lambda each: each.case)), ("other", drawn)):
        write_labels(book(folder / name, *labels))
    assert (folder / "one").read_bytes() == (folder / "other").read_bytes()


def test_a_label_holds_for_its_prompt_check_and_answer_alone() -> None:
    others = [replace(LABEL, prompt="c" * 64), replace(LABEL, asks="c" * 64), replace(LABEL, answer="It is 13.")]
    assert len({LABEL.key, *(each.key for each in others)}) == 4
    assert replace(LABEL, case="bob", turn=2, note="x", yes=False).key == LABEL.key


def test_without_a_file_there_are_no_labels(file: Path) -> None:
    assert load_labels(file, "people") == LabelBook("people", file)


def test_a_file_that_may_not_be_looked_for_is_not_taken_for_none() -> None:
    file = labels_path(golden_path(Path("n" * 300), "people", "fp16"))
    with pytest.raises(GoldenError, match=r"labels\.jsonl:1: cannot be read: File name too long"):
        load_labels(file, "people")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_labels_in_a_folder_that_may_not_be_searched_are_not_taken_for_none(file: Path) -> None:
    write_labels(book(file, LABEL))
    file.parent.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(GoldenError, match=r"labels\.jsonl:1: cannot be read: Permission denied"):
            load_labels(file, "people")
    finally:
        os.seteuid(0)


def test_a_folder_that_is_a_link_out_of_its_place_is_neither_read_nor_written(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "quant"
    elsewhere.mkdir()
    folder.mkdir()
    (folder / "golden").symlink_to(elsewhere)
    path = labels_path(golden_path(folder, "people", "fp16"))
    with pytest.raises(GoldenError, match=r"labels\.jsonl:1: a link leads out of the folder"):
        load_labels(path, "people")
    with pytest.raises(QuantgateError, match="a link leads out of the folder"):
        write_labels(book(path, LABEL))
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_somebody_changed_is_left_alone(file: Path) -> None:
    write_labels(book(file, LABEL))
    before = file.read_bytes()
    with pytest.raises(QuantgateError, match="changed since"):
        write_labels(book(file, replace(LABEL, yes=False), digest="0" * 64))
    assert file.read_bytes() == before
    read = load_labels(file, "people")
    write_labels(replace(read, labels={}))
    assert load_labels(file, "people").labels == {}


def lines(path: Path, *changes: Callable[[dict[str, Any]], object] | str) -> list[str]:
    """A good file with further lines: a label after a change, or text as it stands; the problems of reading it."""
    write_labels(book(path, LABEL))
    header, good = path.read_text().splitlines()
    text = [header, good]
    for change in changes:
        if isinstance(change, str):
            text.append(change)
        else:
            value = {**json.loads(good), "answer": f"another {len(text)}"}
            change(value)
            text.append(json.dumps(value))
    path.write_text("\n".join(text))
    with pytest.raises(GoldenError) as caught:
        load_labels(path, "people", shown="labels.jsonl")
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_is_told_with_its_line(file: Path) -> None:
    found = lines(
        file,
        lambda value: value.update(label="yess"),
        lambda value: value.pop("prompt"),
        lambda value: value.update(prompt="abc"),
        lambda value: value.update(answer=3),
        lambda value: value.update(turn=0),
        lambda value: value.update(lable="yes"),
        "{",
        "[1]",
        "",
        lambda value: value.update(answer=LABEL.answer),
    )
    assert [each.split(": ", 1) for each in found] == [
        ["labels.jsonl:3", "unknown label 'yess'; did you mean 'yes'?"],
        ["labels.jsonl:4", "a label needs the key 'prompt'"],
        ["labels.jsonl:5", "'prompt' must be a digest of 64 hexadecimal digits"],
        ["labels.jsonl:6", "'answer' must be text, not the number 3: quote it"],
        ["labels.jsonl:7", "'turn' must be a whole number, 1 or more, not 0"],
        ["labels.jsonl:8", "unknown key 'lable' in a label; did you mean 'label'?"],
        ["labels.jsonl:9", "bad JSON: Expecting property name enclosed in double quotes (column 2)"],
        ["labels.jsonl:10", "a label must be a mapping, not a list"],
        ["labels.jsonl:12", "this answer has a label already: line 2"],
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: empty: remove the file, or take it back from version control"),
        ("{}\n", '1: the first line is no header of labels: it needs "format": "pytest-quantgate labels"'),
        (
            '{"format": "pytest-quantgate labels", "schema": 2, "slice": "people"}',
            "1: the schema of these labels is not the one that is read here, which is 1: upgrade pytest-quantgate",
        ),
        (
            '{"format": "pytest-quantgate labels", "schema": 1, "slice": "sums"}',
            "1: these are labels of slice 'sums', not of 'people': move the file to the folder of its slice",
        ),
        ("<<<<<<< HEAD\n", "1: a merge conflict: keep the lines of both sides, each once"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(file: Path, text: str, told: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(GoldenError) as caught:
        load_labels(file, "people", shown="labels.jsonl")
    assert [str(each) for each in caught.value.problems] == [f"labels.jsonl:{told}"]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_no_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "labels.jsonl"
    path.write_bytes(data)
    with pytest.raises(GoldenError):
        load_labels(path, "people")
