"""Needles leave out only patterns that find nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.checks import needles as needles_module
from pytest_quantgate.checks.needles import Index, needles


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cannot", {"cannot"}),
        (r"\b(?:i|we) (?:can't|won't)\b", {"can't", "won't"}),
        (r"\b(?:a|so) (?:be|do)\b", {"a be", "a do", "so be", "so do"}),
        (r"\w+ (?:help|assist)", {" help", " assist"}),
        (r"(?:a|b)?help", {"help"}),
        (r"(?:help|assist){1,3}", {"help", "assist"}),
        (r"authori[sz]ed", {"authoris", "authoriz"}),  # as long as a needle gets
        (r"x[^.]{0,9}decline", {"decline"}),
        (r"(?=help)\w+", set()),
        (r"(?:help)?", set()),
        (r"help|\d+", set()),
        (r"[^a]", set()),
        (r"(?i)help", set()),
        (r"(?i:help)", set()),
        (r"(help) \1", {"help "}),
        (r"(?<!not )able", {"able"}),
    ],
)
def test_needles_are_what_every_match_holds(pattern: str, expected: set[str]) -> None:
    assert needles(pattern) == expected


def test_without_pythons_parser_every_pattern_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(needles_module, "import_module", gone)
    assert needles("help") == set()
    assert Index(["help", "x"]).possible("nothing of it") == 0b11


LETTERS = st.sampled_from(["a", "b", "ab", "abcde", "é", "不", ".", r"\w", "[ab]", "[^a]", "[a-c]", r"\b", "^", " "])


def _joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.lists(parts, min_size=1, max_size=3).map("".join)
    repeat = st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "*?", "++", ""])
    return st.one_of(
        group,
        st.lists(group, min_size=2, max_size=3).map(lambda each: f"(?:{'|'.join(each)})"),
        st.tuples(group, repeat).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        group.map(lambda each: f"(?={each})"),
        group.map(lambda each: f"(?!{each})"),
        group.map(lambda each: f"({each})"),
    )


PATTERNS = st.recursive(LETTERS, _joined, max_leaves=12)


@settings(max_examples=300, deadline=None)
@given(pattern=PATTERNS, text=st.text(alphabet="abcde.é不 ", max_size=30))
def test_a_text_without_a_needle_has_no_match(pattern: str, text: str) -> None:
    if re.search(pattern, text):
        assert Index([pattern]).possible(text) == 1


@settings(max_examples=100, deadline=None)
@given(patterns=st.lists(PATTERNS, max_size=4), text=st.text(alphabet="abcde.é不 ", max_size=30), data=st.data())
def test_what_a_part_of_a_text_matches_the_text_may_match(patterns: list[str], text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    part = text[start : data.draw(st.integers(start, len(text)))]
    found = {place for place, pattern in enumerate(patterns) if re.search(pattern, part)}
    assert found <= set(_places(Index(patterns).possible(text)))


def _places(bits: int) -> Iterator[int]:
    return (place for place in range(bits.bit_length()) if bits >> place & 1)
