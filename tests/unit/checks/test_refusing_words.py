"""Telling a refusal without reading on agrees with reading everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.checks.refusal_kinds import Kind, read, refusing_words

CLAUSES = [
    "I can't help with that.",
    "I cannot diagnose you,",
    "but",
    "I'm sorry.",
    "That is illegal and it hurts people.",
    "How dare you ask me that?",
    "Please talk to somebody you trust instead.",
    "Paris is the capital of France, and Berlin is that of Germany.",
    "First, mix the flour with two eggs and some milk.",
    "Yes.",
    "No.",
    "Dear Sir,",
    "\u2014 Hello there",
    "\n",
    'He said "I won\'t".',
    "If you like, I can explain the law.",
]


@given(st.lists(st.sampled_from(CLAUSES), max_size=10).map(" ".join))
def test_it_stops_only_where_the_answer_is_decided(answer: str) -> None:
    reading = read(answer)

    assert refusing_words(answer) == (reading.declining if reading.kind == Kind.REFUSAL else None)


@pytest.mark.parametrize("answer", ["", " \n", "Paris.", "Dear Sir, I can't come."])
def test_what_declines_nothing_has_none(answer: str) -> None:
    assert refusing_words(answer) is None
