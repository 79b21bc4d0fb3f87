"""Instructions on how often something occurs: ``count:...``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, holds_word, once_broken, once_enough
from pytest_quantgate.checks.ifbench.pieces import in_a_row, keys, words
from pytest_quantgate.checks.ifbench.vocabulary import CONJUNCTIONS, NAMES, PRONOUNS
from pytest_quantgate.checks.rules import both, whole
from pytest_quantgate.plural import counted

_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)*+")
_LETTERS = re.compile(r"[^\W\d_]++")
_MARKS = {".": "full stop", ",": "comma", ";": "semicolon", ":": "colon", "!": "exclamation mark", "?": "question mark"}
_QUERIES = re.compile(r"[?!]++")
_JAPANESE = re.compile(
    r"[\u3005\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f]"
)
_TIMES = (1, 2, 3, 5, 7)


def word_count_range(answer: str, *, min_words: float, max_words: float) -> Finding:
    """The answer has at least ``min_words`` and at most ``max_words`` words."""
    count = len(words(answer))
    if min_words <= count <= max_words:
        return followed(counted(count, "word"))
    return violated(f"{counted(count, 'word')}, {min_words:g} to {max_words:g} asked for")


def word_count_range_decided(so_far: str, *, min_words: float, max_words: float) -> bool | None:  # noqa: ARG001  (those of the check)
    """False beyond the most."""
    return once(len(words(settled(so_far))) > max_words, means=False)


def unique_word_count(answer: str, *, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """The answer has at least ``N`` different words; capitals do not make a word different."""
    return _at_least(len(set(keys(answer))), N, "different word")


def conjunctions(answer: str, *, small_n: float) -> Finding:
    """The answer uses at least ``small_n`` of the seven coordinating conjunctions of English."""
    return _at_least(len(CONJUNCTIONS.intersection(keys(answer))), small_n, "different conjunction")


def person_names(answer: str, *, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """The answer mentions at least ``N`` of the fifty names that the prompts list.

    Names are whole words (``Miami`` does not mention ``Mia``; ``Mia's`` does), written as listed or in
    capitals throughout, as in a screenplay.
    """
    written = set(_LETTERS.findall(answer))
    return _at_least(sum(name in written or name.upper() in written for name in NAMES), N, "different name")


def pronouns(answer: str, *, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """The answer has at least ``N`` pronouns, counted each time.

    Words that are always pronouns count, alone and in contractions (``I'm``, ``they've``). ``That``, ``this``,
    ``which`` and others that often are something else do not.
    """
    count = sum(word in PRONOUNS or word.partition("'")[0] in PRONOUNS for word in keys(answer))
    return _at_least(count, N, "pronoun")


def numbers(answer: str, *, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """The answer has exactly ``N`` numbers written in digits, inside words too.

    ``1,234,567.89`` is one number; ``1,2,3``, ``3-4`` and ``10:30`` are three, two and two.
    """
    count = _numbers(answer)
    if count == N:
        return followed(counted(count, "number"))
    return violated(f"{counted(count, 'number')}, exactly {N:g} asked for")


def numbers_decided(so_far: str, *, N: float) -> bool | None:  # noqa: N803  (the public data's name)
    """False beyond so many."""
    return once(_numbers(settled(so_far)) > N, means=False)


def _numbers(text: str) -> int:
    return sum(1 for _ in _NUMBER.finditer(text))


def punctuation(answer: str) -> Finding:
    """The answer has every one of ``. , ; : ! ?`` and an interrobang (``?!``, ``!?`` or one character).

    The marks of an interrobang are no question mark and no exclamation mark of their own.
    """
    runs = _QUERIES.findall(answer)
    mixed = [run for run in runs if "?" in run and "!" in run]
    alone = set("".join(run for run in runs if not ("?" in run and "!" in run)))
    missing = [name for mark, name in _MARKS.items() if mark not in (alone if mark in "!?" else answer)]
    if not mixed and "\u203d" not in answer:
        missing.append("interrobang")
    if missing:
        return violated(f"lacks: {', '.join(missing)}")
    return followed("has every punctuation mark")


def words_japanese(answer: str, *, N: float) -> Finding:  # noqa: N803  (the public data's name)
    """Every ``N``-th word of the answer has Japanese characters (kana or kanji), or is a number.

    Japanese without spaces is one word. An answer of fewer than ``N`` words has no such word, and follows.
    """
    for place, word in enumerate(words(answer), start=1):
        if place % N == 0 and not word.isdigit() and not _JAPANESE.search(word):
            return violated(f"word {place} is {quoted(word)}")
    return followed("every word that had to be Japanese is")


def keywords_multiple(
    answer: str, *, keyword1: str, keyword2: str, keyword3: str, keyword4: str, keyword5: str
) -> Finding:
    """The five keywords occur once, twice, three, five and seven times, as whole words in any capitals."""
    wanted = [" ".join(keys(keyword)) for keyword in (keyword1, keyword2, keyword3, keyword4, keyword5)]
    seen = _occurrences(answer, set(wanted))
    wrong = [
        f"{quoted(keyword, 30)} occurs {seen[keyword]} times, not {times}"
        for keyword, times in zip(wanted, _TIMES, strict=True)
        if seen[keyword] != times
    ]
    return violated("; ".join(wrong)) if wrong else followed("every keyword occurs as often as asked for")


def _occurrences(answer: str, wanted: set[str]) -> Counter[str]:
    written = keys(answer)
    seen = Counter(written)
    for keyword in wanted:
        parts = keyword.split()
        if len(parts) > 1:  # a keyword of several words
            seen[keyword] = in_a_row(written, parts)
    return seen


def _at_least(count: int, least: float, unit: str) -> Finding:
    if count >= least:
        return followed(counted(count, unit))
    return violated(f"{counted(count, unit)}, at least {least:g} asked for")


def _range_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    if arguments["min_words"] > arguments["max_words"]:
        yield f"'min_words' is over 'max_words': {arguments['min_words']} > {arguments['max_words']}"


def _conjunction_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    if arguments["small_n"] > len(CONJUNCTIONS):
        yield f"argument 'small_n' is over the number of coordinating conjunctions, {len(CONJUNCTIONS)}"


def _name_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    if arguments["N"] > len(NAMES):
        yield f"argument 'N' is over the number of listed names, {len(NAMES)}"


ENTRIES = (
    Entry(
        "count:word_count_range",
        word_count_range,
        both(whole(0, "min_words", "max_words"), _range_problems),
        word_count_range_decided,
    ),
    Entry("count:unique_word_count", unique_word_count, whole(0, "N"), once_enough(unique_word_count)),
    Entry(
        "count:conjunctions",
        conjunctions,
        both(whole(0, "small_n"), _conjunction_problems),
        once_enough(conjunctions),
    ),
    Entry("count:person_names", person_names, both(whole(0, "N"), _name_problems), once_enough(person_names)),
    Entry("count:pronouns", pronouns, whole(0, "N"), once_enough(pronouns)),
    Entry("count:numbers", numbers, whole(0, "N"), numbers_decided),
    Entry("count:punctuation", punctuation, decided=once_enough(punctuation)),
    Entry("count:words_japanese", words_japanese, whole(1, "N"), once_broken(words_japanese)),
    Entry(
        "count:keywords_multiple",
        keywords_multiple,
        holds_word("keyword1", "keyword2", "keyword3", "keyword4", "keyword5"),
    ),
)
