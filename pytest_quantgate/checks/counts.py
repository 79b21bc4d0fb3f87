"""Checks of an answer's length: word_count, sentence_count, line_count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.early import count_decided
from pytest_quantgate.checks.finding import Finding, followed, violated
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

# Possessive runs (``++``) keep every search linear: a megabyte of hyphens is looked at once.
_RUN = re.compile(r"[\w'\u2019\u2011-]++")  # U+2019 is the curly apostrophe, U+2011 the hyphen that does not break
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")

_LINE_BREAK = re.compile(r"\r\n|\r|\n")

_STOP = re.compile(
    r"""
    [\u3002\uff01\uff1f]++                     # Chinese and Japanese stops need no space behind them
    |(?<![.!?…])(?P<mark>[.!?…]++)             # others do,
    ["'\u2019\u201d)\]»*_]*+(?=\s|$)           # behind closing quotes, brackets and emphasis
    """,
    re.VERBOSE,
)

# A full stop behind these words never ends a sentence.
_TITLES = frozenset(
    {
        "mr",
        "mrs",
        "ms",
        "mx",
        "dr",
        "prof",
        "rev",
        "hon",
        "gen",
        "col",
        "capt",
        "lt",
        "sgt",
        "st",
        "mt",
        "messrs",
        "vs",
        "cf",
        "e.g",
        "i.e",
        "eg",
        "ie",
        "ca",
    }
)

# Behind these not when a digit follows ("No. 5"), ...
_NUMBERED = frozenset({"no", "nos", "fig", "figs", "eq", "vol", "pp", "p", "ch", "sec", "art"})

# ... and behind these only when a capital follows, or nothing.
_ABBREVIATIONS = frozenset(
    {
        "etc",
        "al",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "u.n",
        "e.u",
        "d.c",
        "ph.d",
        "m.d",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
        "dept",
        "approx",
    }
)

_OPENING = frozenset('(["\u2018\u201c*_')  # what a word may stand behind besides white space
_INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]")

_WINDOW = 40
"""Characters around a stop that are looked at; longer words are no abbreviations."""


def word_count(answer: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None) -> Finding:
    """The answer has so many words: runs of letters, digits, apostrophes and hyphens.

    A run needs a letter or a digit; combining marks and joiners belong to their letters. Languages that
    write no spaces between words are counted by run. ``min`` and ``max`` include their limits.
    """
    return _judge(count_words(answer), "word", min_, max_, exactly)


def sentence_count(
    answer: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None
) -> Finding:
    """The answer has so many sentences: they end in ``.``, ``!`` or ``?`` before white space or the end.

    Decimals, common English abbreviations, initials, an ellipsis before a small letter and the numbers of a
    numbered list end none. Text behind the last stop counts as a sentence; a line break alone ends none.
    """
    return _judge(count_sentences(answer), "sentence", min_, max_, exactly)


def line_count(answer: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None) -> Finding:
    """The answer has so many lines that are not blank; an answer without any has 0."""
    return _judge(count_lines(answer), "line", min_, max_, exactly)


def word_count_decided(
    so_far: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None
) -> bool | None:
    """False beyond the most; True from the fewest on, where nothing else is limited: words do not become fewer."""
    return count_decided(count_words(so_far), min_, max_, exactly)


def line_count_decided(
    so_far: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None
) -> bool | None:
    """As for words."""
    return count_decided(count_lines(so_far), min_, max_, exactly)


def sentence_count_decided(
    so_far: str, *, min_: int | None = None, max_: int | None = None, exactly: int | None = None
) -> bool | None:
    """As for words, by the sentences that are certain: what looks like an end at the end may turn out to be none."""
    return count_decided(count_certain_sentences(so_far), min_, max_, exactly)


def count_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """At least one limit, none below zero, and together they leave a count that could be right."""
    low, high, exactly = (arguments.get(name) for name in ("min", "max", "exactly"))
    if low is None and high is None and exactly is None:
        yield "give 'min', 'max' or 'exactly'"
    for name, value in arguments.items():
        if value < 0:
            yield f"argument {name!r} must not be below zero: {value}"
    if exactly is not None and (low is not None or high is not None):
        yield "'exactly' leaves no room for 'min' or 'max'"
    elif low is not None and high is not None and low > high:
        yield f"'min' is over 'max': {low} > {high}"


def count_words(text: str) -> int:
    """Number of words; see word_count."""
    joined = text if text.isascii() else _without_marks(text)
    return sum(1 for run in _RUN.finditer(joined) if _LETTER_OR_DIGIT.search(run.group()))


def count_lines(text: str) -> int:
    """Number of lines that hold more than white space."""
    return len(lines(text))


def lines(text: str) -> list[str]:
    """The lines of a text that hold more than white space, as they are."""
    return [line for line in _LINE_BREAK.split(text) if line.strip()]


def count_sentences(text: str) -> int:
    """Number of sentences; see sentence_count."""
    return sum(1 for _ in sentence_spans(text))


def count_certain_sentences(so_far: str) -> int:
    """The fewest sentences of any text that begins so; see sentence_count."""
    count = start = 0
    for stop in _STOP.finditer(so_far):
        if stop["mark"] and not so_far[stop.end() :].strip():
            break  # what follows it decides
        if _ends_sentence(so_far, stop):
            count += _says_something(so_far, start, stop.start())
            start = stop.end()
    return count + _says_something(so_far, start, len(so_far))


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins, and where it ends behind its stop and closing quotes; see sentence_count."""
    start = 0
    for stop in _STOP.finditer(text):
        if _ends_sentence(text, stop):
            if _says_something(text, start, stop.start()):
                yield start, stop.end()
            start = stop.end()
    if _says_something(text, start, len(text)):
        yield start, len(text)


def _judge(count: int, unit: str, low: int | None, high: int | None, exactly: int | None) -> Finding:
    found = counted(count, unit)
    if exactly is not None and count != exactly:
        return violated(f"{found}, exactly {exactly} asked for")
    if low is not None and count < low:
        return violated(f"{found}, at least {low} asked for")
    if high is not None and count > high:
        return violated(f"{found}, at most {high} asked for")
    return followed(found)


def _without_marks(text: str) -> str:
    """Drop combining marks and joiners, which regular expressions take for the end of a word."""
    marks = {ord(mark) for mark in set(text) if unicodedata.category(mark)[0] == "M" or mark in "\u200c\u200d\u00ad"}
    return text.translate(dict.fromkeys(marks))


def _says_something(text: str, start: int, end: int) -> bool:
    return _LETTER_OR_DIGIT.search(text, start, end) is not None


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    mark = stop["mark"]
    following = text[stop.end() : stop.end() + _WINDOW].lstrip()[:1]
    if mark == ".":
        before = text[max(0, stop.start() - _WINDOW) : stop.start()]
        return not _is_abbreviated(before, following)
    return mark not in {"..", "...", "…"} or not following.islower()


def _is_abbreviated(before: str, following: str) -> bool:
    """Whether a full stop between these belongs to the word before it, and ends no sentence."""
    start = len(before)
    while start and not (before[start - 1].isspace() or before[start - 1] in _OPENING):
        start -= 1
    word = before[start:]
    name = word.casefold()
    if word.isdecimal():
        # "2." at the start of a line numbers a list
        lead = before.removesuffix(word).rstrip(" \t")
        return bool(following) and (not lead or lead.endswith("\n"))
    if name in _NUMBERED:
        return following.isdigit()
    if name in _ABBREVIATIONS:
        return bool(following) and not following.isupper()
    is_initial = _INITIALS.fullmatch(word) is not None and word != "I"
    return name in _TITLES or (is_initial and following.isupper())


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    for name, function, decided in (
        ("word_count", word_count, word_count_decided),
        ("sentence_count", sentence_count, sentence_count_decided),
        ("line_count", line_count, line_count_decided),
    ):
        registry.register(name, function, validate=count_problems, decided=decided)
