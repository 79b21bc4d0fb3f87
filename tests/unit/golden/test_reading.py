"""Goldens that somebody edited, merged or mangled: every problem as FILE:LINE, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.problems import Problems
from pytest_quantgate.errors import GoldenError
from pytest_quantgate.golden.encoding import encode
from pytest_quantgate.golden.reading import GoldenReader
from pytest_quantgate.golden.store import load
from tests.unit.golden.build import ANCHOR, LATER, entry, golden

WRITTEN = encode(golden(Path(), entry("a"), entry("b", "+-", anchor=LATER), entry("c")))
HEADER, *LINES = map(json.loads, WRITTEN.splitlines())
KEY = LINES[0]["anchor"]


def told(text: str) -> list[str]:
    """What is wrong with a file, as LINE: message."""
    problems = Problems("nf4.jsonl")
    GoldenReader(problems).read(text)
    return [f"{each.line}: {each.message}" for each in problems.found()]


def text_of(header: object, *lines: object) -> str:
    return "".join(f"{json.dumps(each)}\n" for each in (header, *lines))


def with_line(**changes: Any) -> str:
    """The file with other values on its second line; ... removes a key."""
    line = {key: value for key, value in (LINES[0] | changes).items() if value is not ...}
    return text_of(HEADER, line)


def with_header(**changes: Any) -> str:
    return text_of({key: value for key, value in (HEADER | changes).items() if value is not ...}, *LINES)


def test_what_was_written_has_no_problem() -> None:
    assert told(WRITTEN) == []


def test_windows_line_ends_blank_lines_a_byte_order_mark_and_another_order_are_no_harm(tmp_path: Path) -> None:
    made = golden(tmp_path, entry("a"), entry("b"))
    header, first, second = encode(made).splitlines()
    made.path.parent.mkdir(parents=True)
    made.path.write_bytes(b"\xef\xbb\xbf" + f"{header}\r\n\r\n{second}\r\n{first}\r\n".encode())
    found = load(made.path)
    assert found
    assert found.entries == made.entries
    assert list(found.entries) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: empty: remove the file*"),
        ("\n \n", "1: empty: remove the file*"),
        ("[]\n", '1: the first line is no header of a golden: it needs "format": "pytest-quantgate golden"'),
        ('{"id": "a"}\n', "1: the first line is no header*"),
        (text_of(LINES[0]), "1: the first line is no header*"),
        (with_header(schema=2), "1: schema 2 cannot be read here, only 1: upgrade pytest-quantgate, or remove*"),
        (with_header(schema="1"), "1: schema '1' cannot be read here*"),
        (with_header(schema=True), "1: schema True cannot be read here*"),
        (with_header(schema=...), "1: a header without schema cannot be read here*"),
        (with_header(slice=""), "1: 'slice' must not be empty"),
        (with_header(variant=3), "1: 'variant' must be text, not the number 3"),
        (with_header(anchors=...), "1: the header needs the key 'anchors'"),
        (with_header(anchors=[]), "1: 'anchors' must be a mapping, not a list"),
        (with_header(owner="me"), "1: unknown key 'owner' in the header; known: *"),
        (with_header(anchors=HEADER["anchors"] | {"x": 3}), "1: an anchor must be a mapping, not the number 3"),
    ],
)
def test_a_header_that_cannot_be_read(text: str, expected: str) -> None:
    (found,) = told(text)
    assert found.startswith(expected.removesuffix("*"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": ...}, "a case needs the key 'id'"),
        ({"id": 3}, "'id' must be text, not the number 3: quote it"),
        ({"id": "a::b"}, "'id' 'a::b' holds '::'*"),
        ({"promt": "x"}, "unknown key 'promt' in a case; did you mean 'prompt'?"),
        ({"prompt": "abc"}, "'prompt' must be a digest of 64 hexadecimal digits"),
        ({"checks": None}, "'checks' must be text, not nothing"),
        ({"results": []}, "'results' must not be empty"),
        ({"results": {}}, "'results' must be a list, not a mapping"),
        ({"results": [3]}, "a result must be a mapping, not the number 3"),
        (
            {"results": [{"check": "json", "followed": "true", "reason": ""}]},
            "'followed' must be true, false or null, not the text 'true'",
        ),
        ({"results": [{"check": "", "followed": True, "reason": ""}]}, "'check' must not be empty"),
        ({"results": [{"check": "json", "followed": True}]}, "a result needs the key 'reason'"),
        ({"transition": "pass"}, "unknown transition 'pass'; *"),
        ({"transition": False}, "'transition' must be text, not true or false: False*"),
        ({"answers": [{"text": "x", "finish_reason": "stop"}]}, "an answer needs the key 'tokens'"),
        (
            {"answers": [{"text": "x", "finish_reason": "stopped", "tokens": 1}]},
            "unknown finish_reason 'stopped'; did you mean 'stop'?",
        ),
        (
            {"answers": [{"text": "x", "finish_reason": "decided", "tokens": 1}]},
            "unknown finish_reason 'decided'; *",
        ),
        (
            {"answers": [{"text": "x", "finish_reason": "stop", "tokens": -1}]},
            "'tokens' must be a whole number from 0 to *, not -1",
        ),
        (
            {"answers": [{"text": "x", "finish_reason": "stop", "tokens": 1, "recall": [{"text": "y"}]}]},
            "'recall' of 'y' needs as many ranks*",
        ),
        (
            {
                "answers": [
                    {"text": "x", "finish_reason": "stop", "tokens": 1, "recall": json.loads("[" * 90 + "]" * 90)}
                ]
            },
            "'recall' is not as a run report writes it: it is nested too deep",
        ),
        ({"anchor": "000000000000"}, "the header has no anchor '000000000000'; *"),
        ({"anchor": 0}, "'anchor' must be text, not the number 0*"),
        ({"accepted": ""}, "'accepted' must not be empty"),
    ],
)
def test_a_case_that_was_edited_with_an_error(changes: dict[str, Any], expected: str) -> None:
    found = told(with_line(**changes))
    head, _, tail = expected.partition("*")
    assert any(each.startswith(f"2: {head}") and each.endswith(tail.rpartition("*")[2]) for each in found), found


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("date", "yesterday", "1: 'date' must be like 2026-01-31T23:59:59Z, not 'yesterday'"),
        ("identity", [], "1: 'identity' must be a mapping, not a list"),
        ("identity", {"spec": 4}, "1: 'spec' must be text, not the number 4"),
        ("by", None, "1: 'by' must be text, not nothing"),
    ],
)
def test_an_anchor_that_was_edited_with_an_error(key: str, value: object, expected: str) -> None:
    anchors = {name: anchor | {key: value} if name == KEY else anchor for name, anchor in HEADER["anchors"].items()}
    assert told(with_header(anchors=anchors)) == [expected]


EDITED = {
    "another value": {"identity": {**ANCHOR.identity, "version:torch": "2.13.1"}},
    "a field more": {"identity": {**ANCHOR.identity, "device": "cpu"}},
    "a field less": {"identity": {"spec": "nf4"}},
    "another digest": {"digest": "1b" * 32},
}


@pytest.mark.parametrize("change", EDITED.values(), ids=EDITED)
def test_an_identity_that_is_not_that_of_its_digest_is_told_and_not_used(
    change: dict[str, Any], tmp_path: Path
) -> None:
    anchors = {name: anchor | change if name == KEY else anchor for name, anchor in HEADER["anchors"].items()}
    made = golden(tmp_path, entry("a"))
    made.path.parent.mkdir(parents=True)
    made.path.write_text(with_header(anchors=anchors), encoding="utf-8")
    with pytest.raises(GoldenError) as caught:
        load(made.path, shown="golden/people/nf4.jsonl")
    assert str(caught.value) == (
        f"golden/people/nf4.jsonl:1: the identity of the anchor {KEY!r} is not the one that its digest was made of: one"
        " of both was edited; take the file back from version control, or remove it and anchor anew"
    )


def test_every_problem_is_told_in_one_go(tmp_path: Path) -> None:
    made = golden(tmp_path, entry("a"), entry("b"), entry("c"))
    header, first, second, third = encode(made).splitlines()
    bad = [header, first.replace('"followed": true', '"followed": "yes"'), second[:-1], first, third]
    made.path.parent.mkdir(parents=True)
    made.path.write_text("\n".join(bad))
    with pytest.raises(GoldenError) as caught:
        load(made.path, shown="nf4.jsonl")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("nf4.jsonl:2: 'followed' must be true, false or null")
    assert lines[1].startswith("nf4.jsonl:3: bad JSON: ")
    assert lines[2] == "nf4.jsonl:4: duplicate id 'a' (first on line 2)"
    assert len(lines) == 3


def test_a_bad_header_line_does_not_hide_what_is_wrong_below_it() -> None:
    header, first, *_ = WRITTEN.splitlines()
    found = told("\n".join([header[:-1], first, "{"]))
    assert [each.partition(":")[0] for each in found] == ["1", "3"]


def test_a_merge_conflict_is_told_as_one() -> None:
    header, first, second, third = WRITTEN.splitlines()
    text = f"{header}\n<<<<<<< HEAD\n{first}\n=======\n{second}\n>>>>>>> main\n{third}\n"
    (found,) = told(text)
    assert found.startswith("2: a merge conflict: settle it")


def test_bytes_that_are_no_text_have_a_line(tmp_path: Path) -> None:
    made = golden(tmp_path, entry("a"))
    made.path.parent.mkdir(parents=True)
    made.path.write_bytes(encode(made).encode().replace(b"an answer", b"an \xff answer"))
    with pytest.raises(GoldenError, match=r"nf4\.jsonl:2: not UTF-8"):
        load(made.path)


def test_a_file_without_a_readable_line_is_given_up() -> None:
    found = told(HEADER_LINE + "{\n" * 5_000)
    assert len(found) == 1_001
    assert "are not looked at" in found[-1]


HEADER_LINE = text_of(HEADER)


@pytest.mark.parametrize(
    "line",
    [
        {"results": list(range(100_000))},
        {"answers": list(range(100_000))},
        {f"key{number}": number for number in range(50_000)},
        {"results": [{f"key{number}": 1 for number in range(3_000)} for _ in range(50)]},
    ],
    ids=["results", "answers", "keys", "keys below"],
)
def test_a_hostile_line_is_not_told_without_end(line: dict[str, Any]) -> None:
    assert 0 < len(told(text_of(HEADER, LINES[0] | line))) < 2_000


def test_an_anchor_with_endless_identity_is_not_told_without_end() -> None:
    anchors = {KEY: HEADER["anchors"][KEY] | {"identity": {f"key{number}": number for number in range(50_000)}}}
    assert 0 < len(told(with_header(anchors=anchors))) < 2_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any) -> list[Callable[[Any], None]]:
    """Functions that each put another value somewhere into a JSON value."""
    found: list[Callable[[Any], None]] = []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:

        def put(new: Any, key: Any = key) -> None:
            value[key] = new

        found += [put, *places(member)]
    return found


@settings(deadline=None)
@given(st.integers(0, len(LINES)), st.integers(0), JSON)
@example(0, 1273, {"\x1f": None})
def test_any_value_anywhere_is_read_or_told(line: int, place: int, new: object) -> None:
    document = json.loads(json.dumps([HEADER, *LINES]))
    spots = places(document[line])
    spots[place % len(spots)](new)
    problems = Problems("nf4.jsonl")
    reader = GoldenReader(problems)
    reader.read(text_of(*document))
    assert problems.found() or len(reader.entries) == 3
    for each in problems.found():
        assert str(each).isprintable()
        assert each.line in (line + 1, *range(2, 5))


@settings(deadline=None)
@given(st.integers(0, len(WRITTEN)), st.integers(0, 40), st.text(st.characters(exclude_categories=()), max_size=10))
def test_any_mangled_text_is_read_or_told(start: int, cut: int, put: str) -> None:
    for each in told(WRITTEN[:start] + put + WRITTEN[start + cut :]):
        assert each.isprintable()


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2_000), st.sampled_from([0, None]))
def test_any_bytes_are_a_golden_or_a_golden_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: int, end: int | None
) -> None:
    made = golden(tmp_path_factory.mktemp("any"), entry("a"))
    made.path.parent.mkdir(parents=True)
    whole = encode(made).encode()
    made.path.write_bytes(whole[:start] + data + whole[start:][:end])
    with suppress(GoldenError):
        load(made.path)


def test_the_anchor_of_each_case_is_the_one_it_names() -> None:
    problems = Problems("nf4.jsonl")
    reader = GoldenReader(problems)
    reader.read(WRITTEN)
    assert [reader.entries[each].anchor for each in "abc"] == [ANCHOR, LATER, ANCHOR]
