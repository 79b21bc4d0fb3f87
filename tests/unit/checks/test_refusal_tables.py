"""Tables for a text find in it what the tables of everything find."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.checks import refusal, refusal_kinds
from pytest_quantgate.checks.needles import needles
from pytest_quantgate.checks.refusal_tables import Pattern, Patterns, Table, Tables, languages, tables_of

EVERYTHING = tables_of(languages()).whole
TEXTS = [member.text for key in Table.__slots__ for member in getattr(EVERYTHING, key).members]
WORDS = sorted({needle for text in TEXTS for needle in needles(text)})

# Said for a reason each: words of several languages, quotes, colons, lists, and what merely looks alike.
PIECES = [
    *("I can't help with that.", "I cannot diagnose you,", "No.", "no", "It is not right", "nobody knows", "\n", "- "),
    *(
        "Please talk to a professional instead.",
        "That is illegal.",
        "Dear Sir,",
        "but",
        "here is the answer:",
        '"',
        "I",
    ),
    *(
        "Das kann ich leider nicht schreiben.",
        "No puedo ayudarte con eso.",
        "我不能帮助你。",
        "申し訳ありません",
    ),
    *("Paris is the capital of France.", "ca*n't", "\u2014 Hello", "Assistant: ", "Je ne peux pas", "Não posso ajudar"),
]
ANSWERS = st.lists(st.sampled_from(PIECES) | st.sampled_from(WORDS), max_size=12).flatmap(
    lambda pieces: st.sampled_from([" ", "", ". ", "\n"]).map(lambda between: between.join(pieces))
)


def test_every_pattern_has_needles() -> None:
    assert [text for text in TEXTS if not needles(text)] == []


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_a_table_for_a_text_finds_what_the_whole_one_finds(answer: str) -> None:
    text = refusal_kinds.plain(answer)
    table = tables_of(languages()).for_text(text)
    for part in (text, *text.split("\n"), *text.split(". ")):
        for key in Table.__slots__:
            some, every = getattr(table, key).search(part), getattr(EVERYTHING, key).search(part)
            assert (some and some.span()) == (every and every.span()), key


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
def test_readings_are_those_of_the_whole_table(answer: str) -> None:
    read = (refusal_kinds.read, refusal_kinds.refusing_words, refusal.declining_words.__wrapped__)
    with pytest.MonkeyPatch.context() as patch:
        for module in (refusal_kinds, refusal):
            patch.setattr(module, "table_for", lambda _text: EVERYTHING)
        expected = [reader(answer) for reader in read]
    assert [reader(answer) for reader in read] == expected


@given(st.text(alphabet="ab;, ", max_size=20))
def test_several_patterns_find_and_split_as_their_alternation(text: str) -> None:
    parts = ("b+", "ab?", "; ", ",? ?b", "(?<=a);")
    patterns, one = Patterns(tuple(map(Pattern, parts))), re.compile("|".join(f"(?:{part})" for part in parts))
    some, every = patterns.search(text), one.search(text)
    assert (some and some.span()) == (every and every.span())
    assert list(patterns.split(text)) == one.split(text)


def test_no_patterns_find_nothing() -> None:
    assert Patterns().search("anything") is None
    assert list(Patterns().split("anything")) == ["anything"]
    assert not Patterns()


def test_a_language_that_a_text_cannot_hold_is_left_out() -> None:
    table = Tables(("en", "zh")).for_text("I can't help with that")
    assert table.declines
    assert not any("无法" in member.text for member in table.declines.members)
