"""How long an answer is: IFEval's ``length_constraints`` instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.counts import count_certain_sentences, count_sentences, count_words
from pytest_quantgate.checks.early import complete_lines, once, settled
from pytest_quantgate.checks.finding import Finding, quoted, violated
from pytest_quantgate.checks.instructions.common import Relation, compared, count_told, exactly, limited
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.checks.rules import whole

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry

_QUOTES = "'\"\u2018\u2019\u201c\u201d\u00ab"
_BEHIND_A_WORD = re.compile("[.,?!'\":;)\u2019\u201d\u00bb\u2026\u2014]")


def number_sentences(answer: str, *, num_sentences: float, relation: Relation) -> Finding:
    """The answer has so many sentences, counted as the check ``sentence_count`` counts them."""
    return compared(count_sentences(answer), "sentences", relation, num_sentences)


def number_sentences_decided(so_far: str, *, num_sentences: float, relation: Relation) -> bool | None:
    """As soon as so many are certain."""
    return count_told(count_certain_sentences(so_far), relation, num_sentences)


def number_words(answer: str, *, num_words: float, relation: Relation) -> Finding:
    """The answer has so many words, counted as the check ``word_count`` counts them: "don't" is one."""
    return compared(count_words(answer), "words", relation, num_words)


def number_words_decided(so_far: str, *, num_words: float, relation: Relation) -> bool | None:
    """As soon as there are so many: words do not become fewer."""
    return count_told(count_words(so_far), relation, num_words)


def number_paragraphs(answer: str, *, num_paragraphs: float) -> Finding:
    """The answer has exactly so many paragraphs, separated by the Markdown divider ``***``.

    A divider before the first or behind the last paragraph separates nothing; a blank paragraph between two
    dividers is a violation. Asterisks that hold a text, as in ``***so***``, are emphasis and no divider.
    """
    pieces = [piece.strip() for piece in _divided(answer)]
    if not all(pieces[1:-1]):
        return violated("a paragraph between two dividers is blank")
    return exactly(sum(map(bool, pieces)), "paragraphs", num_paragraphs)


def number_paragraphs_decided(so_far: str, *, num_paragraphs: float) -> bool | None:
    """False beyond so many, or once one between two dividers is blank; what divides is certain in complete lines."""
    pieces = [piece.strip() for piece in _divided(complete_lines(so_far))]
    return once(not all(pieces[1:-1]) or sum(map(bool, pieces)) > num_paragraphs, means=False)


def nth_paragraph_first_word(answer: str, *, num_paragraphs: float, nth_paragraph: float, first_word: str) -> Finding:
    """The answer has exactly so many paragraphs, separated by blank lines, and the nth begins with this word.

    Paragraphs are numbered from 1. Case and quotation marks before the word do not matter, nor what stands behind
    it from the first punctuation mark on: "It's" begins with "it". Emphasis is part of the word (loose grading
    takes it off).
    """
    paragraphs = _paragraphs(answer)
    counted = exactly(len(paragraphs), "paragraphs", num_paragraphs)
    if not counted.followed:
        return counted
    bare = _first_word(paragraphs[int(nth_paragraph) - 1])
    if bare.lower() == first_word.strip().lower():
        return counted
    return violated(f"paragraph {nth_paragraph:.0f} begins with {quoted(bare)}, not {quoted(first_word)}")


def nth_paragraph_first_word_decided(
    so_far: str, *, num_paragraphs: float, nth_paragraph: float, first_word: str
) -> bool | None:
    """False beyond so many, or once the paragraph begins with another word."""
    paragraphs = _paragraphs(settled(so_far))
    if len(paragraphs) < nth_paragraph:
        return None
    wrong = _first_word(paragraphs[int(nth_paragraph) - 1]).lower() != first_word.strip().lower()
    return once(wrong or len(paragraphs) > num_paragraphs, means=False)


def _paragraphs(answer: str) -> list[str]:
    return [piece for piece in answer.replace("\r\n", "\n").split("\n\n") if piece.strip()]


def _first_word(paragraph: str) -> str:
    word = paragraph.split(maxsplit=1)[0].lstrip(_QUOTES)
    return _BEHIND_A_WORD.split(word, maxsplit=1)[0]


_STARS = re.compile(r"(?<!\*)\*\*\*(?!\*)")
_EMPHASIS = re.compile(r"(?<![^\s(\"'])\*\*\*(?=[^\s*])[^*\n]*+\*\*\*(?![\w*])")


def _divided(answer: str) -> list[str]:
    """The pieces between dividers."""
    emphasized = [match.span() for match in _EMPHASIS.finditer(answer) if not answer[match.end() - 4].isspace()]
    pieces, start = [], 0
    waiting = iter(emphasized)
    held = next(waiting, None)
    for stars in _STARS.finditer(answer):
        while held and held[1] <= stars.start():
            held = next(waiting, None)
        if held and held[0] <= stars.start():
            continue
        pieces.append(answer[start : stars.start()])
        start = stars.end()
    return [*pieces, answer[start:]]


def _nth_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    yield from (problems := list(whole(1, "num_paragraphs", "nth_paragraph")(arguments)))
    nth, number = arguments["nth_paragraph"], arguments["num_paragraphs"]
    if not problems and nth > number:
        yield f"argument 'nth_paragraph' is over 'num_paragraphs': {nth:.0f} > {number:.0f}"
    if len(arguments["first_word"].split()) != 1:
        yield f"argument 'first_word' must be one word, not {quoted(arguments['first_word'])}"


def register(registry: CheckRegistry) -> None:
    """Add these checks."""
    registry.register(
        "length_constraints:number_sentences",
        with_loose(number_sentences),
        validate=limited("num_sentences"),
        decided=strictly(number_sentences_decided),
    )
    registry.register(
        "length_constraints:number_words",
        with_loose(number_words),
        validate=limited("num_words"),
        decided=strictly(number_words_decided),
    )
    registry.register(
        "length_constraints:number_paragraphs",
        with_loose(number_paragraphs),
        shorthand="num_paragraphs",
        validate=whole(1, "num_paragraphs"),
        decided=strictly(number_paragraphs_decided),
    )
    registry.register(
        "length_constraints:nth_paragraph_first_word",
        with_loose(nth_paragraph_first_word),
        validate=_nth_problems,
        decided=strictly(nth_paragraph_first_word_decided),
    )
