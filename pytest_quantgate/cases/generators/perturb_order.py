"""Reordered options: the kind of perturbation that moves whole texts, where no answer hangs on their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from random import Random
from typing import Final

from pytest_quantgate.cases.generators.filler import Pack
from pytest_quantgate.cases.generators.perturb_guard import Guarded, Span

_FEWEST, _MOST = 2, 26
_MOST_GROUPS: Final = 100  # lists of options that are looked at
_TRIES: Final = 8

_LETTERED: Final = re.compile(r"(?P<mark>[^\S\n]*\(?(?P<label>[A-Za-z]|\d{1,2})[.):][^\S\n]+)(?P<text>\S[^\n]*)")
_BULLET: Final = re.compile(r"(?P<mark>[^\S\n]*[-*+\u2022][^\S\n]+)(?P<text>\S[^\n]*)")
_ANNOUNCED: Final = re.compile(
    r"(?i)\b(?:options?|choices?|choose|pick|select|one of|labels?|categor(?:y|ies)|which of)\b"
)

_ITEM: Final = r"(?:\"[^\"\n]{1,60}\"|'[^'\n]{1,60}'|[\w-]{1,30}(?: (?!(?:or|and)\b)[\w-]{1,30}){0,2})"
_LISTED: Final = re.compile(
    r"(?i:\b(?:options|choices|labels|categories|one of|choose from|choose between|pick from|select from)"
    r"(?: these| the)?(?: following)?(?: (?:words|labels|options|choices|categories))?(?: are)?:? )"
    rf"(?P<items>{_ITEM}(?:, {_ITEM}){{0,24}},? (?i:or) {_ITEM})(?=[.?!\n]|\Z)"
)
_SEPARATOR: Final = re.compile(r"(?:,? or |, )(?=(?:[^\"]*\"[^\"]*\")*[^\"]*\Z)")

# Where a place is spoken of, the answer may hang on it.
_PLACES: Final = re.compile(
    r"(?i)\b(?:order(?:ed)?|sort(?:ed)?|rank(?:ed|ing)?|alphabetical(?:ly)?|first|second|third|last|letters?|above|below"
    r"|respectively|sequence|position|number(?:ed)? of the|both|former|latter|previous|preceding|steps?)\b"
)


def order(guarded: Guarded, rng: Random) -> str:
    """Put the options into another order.

    Options are lines with letters or numbers, whose labels stay where they are; bulleted lines under a line that calls
    them options; and a list with "or" in a sentence behind "one of", "choose from" and the like. Nothing moves where
    the prompt speaks of places ("the first", "in order", "the letter"), where a label is named outside its line, or
    where a check's arguments hold a label.
    """
    text = guarded.text
    if _PLACES.search(text):
        return text
    for spans in islice(chain(_line_groups(guarded), _sentence_groups(guarded)), _MOST_GROUPS):
        texts = [text[start:end] for start, end in spans]
        if len(set(texts)) < _FEWEST:
            continue
        for _ in range(_TRIES):
            pack = Pack(rng, texts)
            dealt = [pack.deal() for _ in texts]
            if dealt != texts:
                return guarded.changed(dict(zip(spans, dealt, strict=True)))
    return text


def _line_groups(guarded: Guarded) -> Iterator[list[Span]]:
    """The places of the options' texts, of each run of lines that are options."""
    text = guarded.text
    for pattern in (_LETTERED, _BULLET):
        run: list[re.Match[str]] = []
        at, before, headed = 0, "", ""
        for line in [*text.split("\n"), ""]:
            match = pattern.fullmatch(text, at, at + len(line)) if line else None
            if match:
                headed = before if not run else headed
                run.append(match)
            else:
                if _are_options(guarded, run, headed):
                    yield [option.span("text") for option in run]
                run = []
                before = line if line.strip() else before
            at += len(line) + 1


def _are_options(guarded: Guarded, run: list[re.Match[str]], headed: str) -> bool:
    """Whether lines are options that may change places."""
    if not _FEWEST <= len(run) <= _MOST or _quoted_by_a_check(guarded, [option.span("text") for option in run]):
        return False
    if any(word in option["text"] for option in run for word in ("```", "|")):
        return False
    if run[0].re is _BULLET:
        return bool(_ANNOUNCED.search(headed))
    labels = [option["label"].casefold() for option in run]
    expected = all(ord(later[-1]) - ord(early[-1]) == 1 for early, later in pairwise(labels[:9]))
    if not expected or not guarded.words.isdisjoint(labels):
        return False
    if labels[0] == "1" and not _ANNOUNCED.search(headed):
        return False  # steps, or facts to be counted
    around = f"{guarded.text[: run[0].start()]}\n{guarded.text[run[-1].end() :]}"
    named = re.findall(r"(?<!\w)(?:[A-Z]|\d{1,2})(?!\w)", around)
    return not {name.casefold() for name in named if name != "I"} & set(labels)


def _sentence_groups(guarded: Guarded) -> Iterator[list[Span]]:
    """The places of the items, of each list in a sentence that names options."""
    for match in _LISTED.finditer(guarded.text):
        start, end = match.span("items")
        spans, at = [], start
        for separator in _SEPARATOR.finditer(guarded.text, start, end):
            spans.append((at, separator.start()))
            at = separator.end()
        spans.append((at, end))
        if not _quoted_by_a_check(guarded, spans):
            yield spans


def _quoted_by_a_check(guarded: Guarded, spans: list[Span]) -> bool:
    """Whether a check quotes more of the options than what stands within one of them."""
    start, end = spans[0][0], spans[-1][1]
    quotes = [(first, last) for first, last in guarded.phrases if first < end and start < last]
    return any(not any(low <= first and last <= high for low, high in spans) for first, last in quotes)
