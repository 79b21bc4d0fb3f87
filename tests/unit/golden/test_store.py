from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.clock import timestamp
from pytest_quantgate.errors import GoldenError, QuantgateError
from pytest_quantgate.golden import store
from pytest_quantgate.golden.store import golden_path, load, write
from tests.unit.golden.build import ANCHOR, LATER, entry, golden


def test_a_golden_lies_beside_its_slice_file_in_a_folder_of_the_slice(tmp_path: Path) -> None:
    assert golden_path(tmp_path, "people", "nf4") == tmp_path / "golden" / "people" / "nf4.jsonl"
    assert golden_path(tmp_path, "format", "nf4", suite="core") == tmp_path / "golden" / "core" / "format" / "nf4.jsonl"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gptq:4bit-g128", "gptq%3A4bit-g128"),
        ("..", "%2E."),
        (".", "%2E"),
        (".hidden", "%2Ehidden"),
        ("", "%"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("a\0b\nc", "a%00b%0Ac"),
        ("ü", "%C3%BC"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_a_name_never_leads_out_of_its_folder(name: str, expected: str, tmp_path: Path) -> None:
    path = golden_path(tmp_path, name, name)
    assert path == tmp_path / "golden" / expected / f"{expected}.jsonl"


def test_long_names_are_cut_and_stay_apart(tmp_path: Path) -> None:
    one, other = (golden_path(tmp_path, "people", f"gguf:/{'x' * 500}/{end}") for end in "ab")
    assert one != other
    assert max(len(os.fsencode(each.name)) for each in (one, other)) <= 106


def test_a_variant_called_labels_does_not_take_the_file_of_the_labels(tmp_path: Path) -> None:
    assert golden_path(tmp_path, "people", "labels").name == "%6Cabels.jsonl"


@given(st.lists(st.text(max_size=150), min_size=2, max_size=2, unique=True))
def test_different_names_have_different_files(names: list[str]) -> None:
    one, other = (golden_path(Path("quant"), "people", name) for name in names)
    assert one != other
    assert one.parent == Path("quant/golden/people")


def test_what_was_written_is_read_back_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    made = golden(tmp_path, entry("b", "+-", anchor=LATER), entry("a"))
    write(made)
    found = load(made.path)
    assert found == replace(made, digest=found.digest if found else "")
    assert list(found.entries) == ["a", "b"] if found else False
    assert list(made.path.parent.iterdir()) == [made.path]


def test_where_there_is_no_file_there_is_no_golden(tmp_path: Path) -> None:
    assert load(golden_path(tmp_path, "people", "nf4")) is None
    (tmp_path / "golden").touch()  # a file where the folder would be
    assert load(golden_path(tmp_path, "people", "nf4")) is None


def test_a_golden_without_entries_is_removed(tmp_path: Path) -> None:
    made = golden(tmp_path, entry())
    write(made)
    found = load(made.path)
    assert found
    write(replace(found, entries={}))
    assert list(made.path.parent.iterdir()) == []


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    made = golden(tmp_path, entry())
    write(made)
    (tmp_path / "other").touch()
    assert made.path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["folder", "pipe"])
def test_what_is_no_regular_file_is_told(name: str, tmp_path: Path) -> None:
    path = golden_path(tmp_path, "people", "nf4")
    path.parent.mkdir(parents=True)
    path.mkdir() if name == "folder" else os.mkfifo(path)
    with pytest.raises(GoldenError, match=r"nf4\.jsonl:1: not a regular file"):
        load(path)


def test_a_broken_link_is_not_taken_for_no_golden(tmp_path: Path) -> None:
    path = golden_path(tmp_path, "people", "nf4")
    path.parent.mkdir(parents=True)
    path.symlink_to("nowhere")
    with pytest.raises(GoldenError, match=r"nf4\.jsonl:1: no such file"):
        load(path)


def test_messages_name_the_file_as_the_user_does(tmp_path: Path) -> None:
    path = golden_path(tmp_path, "people", "nf4")
    path.parent.mkdir(parents=True)
    path.write_text("{}\n")
    with pytest.raises(GoldenError, match=r"^quant/golden/people/nf4\.jsonl:1: "):
        load(path, shown="quant/golden/people/nf4.jsonl")
    with pytest.raises(QuantgateError, match=r"^a golden: the file changed"):
        write(golden(tmp_path, entry()), shown="a golden")


@pytest.mark.parametrize(("slice_name", "variant"), [("people", "fp16"), ("persons", "nf4")])
def test_a_file_in_the_place_of_another_golden_does_not_speak_for_it(
    slice_name: str, variant: str, tmp_path: Path
) -> None:
    made = golden(tmp_path, entry())
    write(made)
    copy = golden_path(tmp_path, slice_name, variant)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(made.path.read_bytes())
    with pytest.raises(GoldenError, match=r":1: this is the golden of slice 'people' and variant 'nf4', which belongs"):
        load(copy)


def test_a_change_that_came_in_between_is_not_overwritten(tmp_path: Path) -> None:
    made = golden(tmp_path, entry())
    write(made)
    found = load(made.path)
    assert found
    edited = made.path.read_text().replace("an answer", "another one")
    made.path.write_text(edited)
    with pytest.raises(QuantgateError, match="the file changed since this run read it"):
        write(replace(found, entries={"a": entry(text="a third one")}))
    assert made.path.read_text() == edited
    made.path.unlink()
    with pytest.raises(QuantgateError, match="the file changed"):
        write(found)
    assert list(made.path.parent.iterdir()) == []


def test_cases_that_share_an_anchor_share_it_when_they_are_read_back(tmp_path: Path) -> None:
    write(made := golden(tmp_path, entry("a"), entry("b"), entry("c", anchor=LATER)))
    found = load(made.path)
    assert found
    assert found.entries["a"].anchor is found.entries["b"].anchor
    assert [found.entries[each].anchor for each in "abc"] == [ANCHOR, ANCHOR, LATER]


def test_a_golden_that_no_run_would_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_BYTES", 2_000)
    write(golden(tmp_path, entry("a")))
    with pytest.raises(QuantgateError, match=r"int8\.jsonl: the golden would be larger than"):
        write(golden(tmp_path, entry("a", text="x" * 2_000), variant="int8"))
    assert [each.name for each in (tmp_path / "golden" / "people").iterdir()] == ["nf4.jsonl"]


@pytest.mark.parametrize("suite", [None, "core"])
@pytest.mark.parametrize("linked", ["golden", "golden/people"])
def test_a_folder_that_is_a_link_out_of_its_place_is_neither_read_nor_written(
    linked: str, suite: str | None, tmp_path: Path
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "quant"
    place = folder / (linked if suite is None else linked.replace("golden/", "golden/core/"))
    place.parent.mkdir(parents=True)
    elsewhere.mkdir()
    place.symlink_to(elsewhere)
    path = golden_path(folder, "people", "nf4", suite=suite)
    with pytest.raises(GoldenError, match=r"nf4\.jsonl:1: a link leads out of the folder"):
        load(path)
    with pytest.raises(QuantgateError, match="a link leads out of the folder"):
        write(replace(golden(folder, entry()), path=path))
    assert list(elsewhere.iterdir()) == []


def test_slices_in_a_folder_named_golden_have_theirs_below_it_too(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "golden"
    (folder / "golden").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "golden" / "people").symlink_to(elsewhere)
    with pytest.raises(QuantgateError, match="a link leads out of the folder"):
        write(golden(folder, entry()))
    assert list(elsewhere.iterdir()) == []


def test_a_golden_that_is_a_link_to_elsewhere_is_not_read(tmp_path: Path) -> None:
    theirs = golden(tmp_path / "theirs", entry())
    write(theirs)
    path = golden_path(tmp_path / "quant", "people", "nf4")
    path.parent.mkdir(parents=True)
    path.symlink_to(theirs.path)
    with pytest.raises(GoldenError, match="a link leads out of the folder"):
        load(path)


def test_links_within_the_folder_and_to_it_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "golden").symlink_to("kept")
    (tmp_path / "here").symlink_to(tmp_path)
    made = golden(tmp_path / "here", entry())
    write(made)
    assert load(made.path)


@pytest.mark.parametrize("epoch", ["67767976233532799", "-67768040609740800", "-1"])
def test_a_date_that_can_be_written_can_be_read(epoch: str, tmp_path: Path) -> None:
    made = golden(tmp_path, entry(anchor=replace(ANCHOR, date=timestamp({"SOURCE_DATE_EPOCH": epoch}))))
    write(made)
    assert load(made.path)
