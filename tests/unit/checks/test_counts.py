from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_quantgate.checks.counts import count_lines, count_sentences, count_words
from pytest_quantgate.checks.model import CheckResult

Grade = Callable[[str, object, str], CheckResult]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two  three", 3),
        ("well-known, don't", 2),
        ("don\u2019t", 1),
        ("- one\n- two", 2),
        ("-- ... !", 0),
        ("end\u2014start", 2),
        ("Größe straße", 2),
        ("**bold** _slanted_", 2),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e", 2),
        ("e\u0301te\u0301", 1),
        ("\u0634\u0644\u0648\u0645 \u05e2\u05d5\u05dc\u05dd", 2),
    ],
)
def test_words_are_runs_of_letters_digits_apostrophes_and_hyphens(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", 0),
        ("...", 0),
        ("One.", 1),
        ("One. Two! Three?", 3),
        ("No stop at the end", 1),
        ("One. And a rest", 2),
        ("Really?! Yes.", 2),
        ('He said "stop." Then he left.', 2),
        ("It costs 3.50 dollars. Fine.", 2),
        ("Dr. Smith met Mrs. Jones. They talked.", 2),
        ("Use a tool, e.g. a saw. Cut.", 2),
        ("Apples, pears, etc. are fruit. Eat.", 2),
        ("Apples, pears, etc. Then we left.", 2),
        ("We meet at 5 p.m. on Monday.", 1),
        ("J. R. R. Tolkien wrote it.", 1),
        ("So did I. He agreed.", 2),
        ("See No. 5 of the list.", 1),
        ("No. I can not.", 2),
        ("1. Boil water.\n2. Add tea.", 2),
        ("It was 1999. We left.", 2),
        ("Wait... what?", 1),
        ("Wait... What?", 2),
        ("version 1.2.3 is out.", 1),
        ("\u4f60\u597d\u3002\u518d\u89c1\uff01", 2),
        ("**Done.** Next.", 2),
    ],
)
def test_sentences_end_in_a_stop_that_is_no_abbreviation(text: str, sentences: int) -> None:
    assert count_sentences(text) == sentences


@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("a", 1), ("a\n\n b\r\nc\rd\n", 4), (" \n\t\n", 0), ("a\x0bb\u2028c", 1)]
)
def test_lines_are_those_that_are_not_blank(text: str, lines: int) -> None:
    assert count_lines(text) == lines


@pytest.mark.parametrize(
    ("raw", "followed", "reason"),
    [
        ({"min": 3}, True, "3 words"),
        ({"min": 4}, False, "3 words, at least 4 asked for"),
        ({"max": 3}, True, "3 words"),
        ({"max": 0}, False, "3 words, at most 0 asked for"),
        ({"min": 1, "max": 5}, True, "3 words"),
        ({"exactly": 3}, True, "3 words"),
        ({"exactly": 0}, False, "3 words, exactly 0 asked for"),
    ],
)
def test_limits_include_their_ends_and_zero_is_a_limit(
    grade: Grade, raw: object, reason: str, *, followed: bool
) -> None:
    result = grade("word_count", raw, "one two three")
    assert (result.followed, result.reason) == (followed, reason)


def test_each_count_names_its_unit(grade: Grade) -> None:
    assert grade("word_count", {"min": 0}, "one").reason == "1 word"
    assert grade("sentence_count", {"min": 0}, "One. Two.").reason == "2 sentences"
    assert grade("line_count", {"min": 0}, "").reason == "0 lines"
