"""Which words and letters an answer holds: IFEval's ``keywords`` instructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.early import once, settled
from pytest_quantgate.checks.finding import Finding, all_quoted, followed, quoted, violated
from pytest_quantgate.checks.instructions.common import (
    Relation,
    compared,
    contains,
    count_told,
    limited,
    occurrences,
    searchable,
)
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.checks.rules import both

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry


def existence(answer: str, *, keywords: list[str]) -> Finding:
    """The answer holds every keyword, as a word of its own, whatever its case; "cats" does not hold "cat"."""
    missing = [word for word in keywords if not contains(answer, word)]
    if missing:
        return violated(f"lacks {all_quoted(missing)}")
    return followed("holds every keyword")


def existence_decided(so_far: str, *, keywords: list[str]) -> bool | None:
    """True as soon as all are there."""
    return once(existence(settled(so_far), keywords=keywords).followed is True, means=True)


def frequency(answer: str, *, keyword: str, frequency: float, relation: Relation) -> Finding:
    """The answer holds the keyword so often, as a word of its own, whatever its case."""
    return compared(occurrences(answer, keyword), f"uses of {quoted(keyword, 40)}", relation, frequency)


def frequency_decided(so_far: str, *, keyword: str, frequency: float, relation: Relation) -> bool | None:
    """As soon as there are so many."""
    return count_told(occurrences(settled(so_far), keyword), relation, frequency)


def forbidden_words(answer: str, *, forbidden_words: list[str]) -> Finding:
    """The answer holds none of the words, as words of their own, whatever their case; "catch" does not hold "cat"."""
    found = [word for word in forbidden_words if contains(answer, word)]
    if found:
        return violated(f"holds {all_quoted(found)}, which it must not")
    return followed("holds none of the forbidden words")


def forbidden_words_decided(so_far: str, *, forbidden_words: list[str]) -> bool | None:
    """False as soon as one is there."""
    whole = settled(so_far)
    return once(any(contains(whole, word) for word in forbidden_words), means=False)


def letter_frequency(answer: str, *, letter: str, let_frequency: float, let_relation: Relation) -> Finding:
    """The answer holds the letter so often, whatever its case; any character will do, "#" too."""
    count = answer.lower().count(letter.lower())
    return compared(count, f"uses of {quoted(letter)}", let_relation, let_frequency)


def letter_frequency_decided(so_far: str, *, letter: str, let_frequency: float, let_relation: Relation) -> bool | None:
    """As soon as there are so many, in whole words: which small sigma it is depends on the letter behind it."""
    return count_told(settled(so_far).lower().count(letter.lower()), let_relation, let_frequency)


def _letter_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    letter = arguments["letter"]
    if len(letter) != 1 or letter.isspace():
        yield f"argument 'letter' must be one character, not {quoted(letter)}"
    yield from limited("let_frequency", "let_relation")(arguments)


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register(
        "keywords:existence",
        with_loose(existence),
        shorthand="keywords",
        validate=searchable("keywords"),
        decided=strictly(existence_decided),
    )
    registry.register(
        "keywords:frequency",
        with_loose(frequency),
        validate=both(searchable("keyword"), limited("frequency")),
        decided=strictly(frequency_decided),
    )
    registry.register(
        "keywords:forbidden_words",
        with_loose(forbidden_words),
        shorthand="forbidden_words",
        validate=searchable("forbidden_words"),
        decided=strictly(forbidden_words_decided),
    )
    registry.register(
        "keywords:letter_frequency",
        with_loose(letter_frequency),
        validate=_letter_problems,
        decided=strictly(letter_frequency_decided),
    )
