"""Capital and small letters, and the language: IFEval's ``change_case`` and ``language`` instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, followed, violated
from pytest_quantgate.checks.instructions.common import Relation, compared, count_told, limited
from pytest_quantgate.checks.language import code_problems, judge_language
from pytest_quantgate.checks.loose import strictly, with_loose

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry

_RUN = re.compile(r"[^\W_]++(?:[.'\u2019\u2011-][^\W_]++)*+")
_CLITIC = re.compile(r"['\u2019](?:s|m|d|t|ll|re|ve)\Z")


def capital_word_frequency(answer: str, *, capital_frequency: float, capital_relation: Relation) -> Finding:
    """The answer has so many words all in capital letters: "NASA", "COVID-19", "U.S" and "I", but not "6".

    Hyphens, apostrophes and full stops inside a word do not end it; a small "'s" or "'m" behind it does not count
    against it.
    """
    return compared(_in_capitals(answer), "words in capitals", capital_relation, capital_frequency)


def capital_word_frequency_decided(so_far: str, *, capital_frequency: float, capital_relation: Relation) -> bool | None:
    """As soon as there are so many."""
    return count_told(_in_capitals(settled(so_far)), capital_relation, capital_frequency)


def _in_capitals(text: str) -> int:
    words = (_CLITIC.sub("", run.group()) for run in _RUN.finditer(text))
    return sum(1 for word in words if word.isupper())


def english_capital(answer: str) -> Finding:
    """The answer is in English and has no small letter.

    The language is told as by the check ``language``, from the same text in small letters.
    """
    if not answer.isupper():
        return violated("not all in capital letters")
    return _english(answer, "all in capital letters")


def english_capital_decided(so_far: str) -> bool | None:
    """False at the first small letter."""
    return once(any(map(str.islower, so_far)), means=False)


def english_lowercase(answer: str) -> Finding:
    """The answer is in English and has no capital letter; the language is told as by the check ``language``."""
    if not answer.islower():
        return violated("not all in small letters")
    return _english(answer, "all in small letters")


def english_lowercase_decided(so_far: str) -> bool | None:
    """False at the first capital letter."""
    return once(any(map(str.isupper, so_far)), means=False)


def response_language(answer: str, *, language: str) -> Finding:
    """The answer is in this language; the same as the check ``language``."""
    return judge_language(answer, language)


def _english(answer: str, letters: str) -> Finding:
    found = judge_language(answer.lower(), "en")
    return followed(f"{letters}, and English") if found.followed else found


def _language_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    yield from code_problems("language", arguments["language"])


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register(
        "change_case:capital_word_frequency",
        with_loose(capital_word_frequency),
        validate=limited("capital_frequency", "capital_relation"),
        decided=strictly(capital_word_frequency_decided),
    )
    registry.register(
        "change_case:english_capital", with_loose(english_capital), decided=strictly(english_capital_decided)
    )
    registry.register(
        "change_case:english_lowercase", with_loose(english_lowercase), decided=strictly(english_lowercase_decided)
    )
    registry.register(
        "language:response_language", with_loose(response_language), shorthand="language", validate=_language_problems
    )
