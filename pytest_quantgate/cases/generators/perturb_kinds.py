"""The kinds of perturbation that leave the order alone: typos, casing, spacing, and a distracting sentence."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from random import Random
from typing import Final

from pytest_quantgate.cases.generators.filler import Pack
from pytest_quantgate.cases.generators.perturb_guard import Guarded, Span

_SHORTEST: Final = 4
"""Letters of a word that may get a typo."""

_TYPO_SHARE, _GAP_SHARE = 0.12, 0.15

_GAP: Final = re.compile(r"(?<=\S) (?=\S)")
_SENTENCE_GAP: Final = re.compile(r"(?<=[.?!]) (?=[A-Z])")
_LIST_LINE: Final = re.compile(r"[^\S\n]*+(?:[-*+]|\(?\w{1,2}[.):])\s")

_LATIN_SHARE: Final = 0.7

_LONG_QUOTE: Final = 3
"""Words of a prompt's beginning that a check quotes: such a prompt is to be repeated, and nothing may come before."""

# No digit, no quotation mark, nothing that a question could be about; no number words either.
DISTRACTIONS: Final = (
    "By the way, my neighbour is painting his fence green today.",
    "The kettle in the kitchen has just started to whistle.",
    "It has been raining here since breakfast.",
    "My sister's cat likes to sleep on the radiator.",
    "Somebody left a blue scarf on the train yesterday.",
    "The bakery around the corner closes early on Wednesdays.",
    "A friend of mine collects old postcards.",
    "The lift in our building is being repaired again.",
    "I am writing this from a rather noisy café.",
    "My grandmother used to keep bees behind her house.",
    "There is a street musician playing outside my window.",
    "We had pancakes for lunch, in case you wonder.",
    "The clock in the hall is always a little slow.",
    "I still have to water the plants this evening.",
    "Our local museum has a new exhibition about kites.",
    "The leaves on the street have turned quite yellow.",
    "Somewhere down the road a dog is barking.",
    "My bicycle needs a new bell, I think.",
    "The ferry to the island was late this morning.",
    "I found an old umbrella in the cellar.",
    "They are showing a film about penguins tonight.",
    "The soup that I made is still too hot to eat.",
    "A moth keeps flying around my lamp.",
    "The wind has blown my hat off today.",
)


def typos(guarded: Guarded, rng: Random) -> str:
    """Swap, drop or double a letter inside some words, about one of eight, at least one.

    The first letter stays, and so do words of fewer than four letters and names (a capital inside a sentence).
    """
    words = [
        match
        for match in guarded.plain_words()
        if len(match.group()) >= _SHORTEST and (match.group().islower() or guarded.begins_sentence(match.start()))
    ]
    changes: dict[Span, str] = {}
    for match in _some(words, _TYPO_SHARE, rng):
        word = _misspelt(match.group(), rng)
        if word.casefold() not in guarded.words:
            changes[match.span()] = word
    return guarded.changed(changes)


def casing(guarded: Guarded, rng: Random) -> str:
    """Write every word that may change in small letters, in capitals, or with a capital in front."""
    ways: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title)
    way = ways[int(rng.random() * len(ways))]
    changes: dict[Span, str] = {}
    for match in guarded.plain_words():
        word = way(match.group())
        # 'ß' and a few others become two letters: those words stay
        if len(word) == len(match.group()):
            changes[match.span()] = word
    return guarded.changed(changes)


def spacing(guarded: Guarded, rng: Random) -> str:
    """Put further blanks between some words, and line breaks between some sentences; no line's beginning changes."""
    text = guarded.text
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    gaps = [match for match in _GAP.finditer(text) if guarded.free(*match.span())]
    changes: dict[Span, str] = {}
    for match in _some(gaps, _GAP_SHARE, rng):
        blanks = " " * (2 + int(rng.random() * 2))
        line = starts[bisect_right(starts, match.start()) - 1]
        if _SENTENCE_GAP.match(text, match.start()) and not _LIST_LINE.match(text, line):
            blanks = ("\n", "\n\n", blanks)[int(rng.random() * 3)]
        changes[match.span()] = blanks
    return guarded.changed(changes)


def distraction(guarded: Guarded, rng: Random) -> str:
    """Add an irrelevant sentence in English, before or behind.

    Behind only where the prompt ends as a sentence does and holds no colon, so that nobody takes it for a part of what
    is to be worked on. It holds no word of the checks' arguments. Left alone are a prompt that is to be repeated, one
    without a sentence that ends, one in a script other than Latin, and one behind demonstrations that asks no question.
    """
    text = guarded.text
    if not (guarded.continued or re.search(r"\?" if guarded.shown else r"[.?!:]", text)):
        return text
    letters = [letter for letter in text if letter.isalpha()]
    if sum(map(str.isascii, letters)) < _LATIN_SHARE * len(letters):
        return text
    if any(start == 0 and len(text[:end].split()) >= _LONG_QUOTE for start, end in guarded.phrases):
        return text
    pack = Pack(rng, DISTRACTIONS)
    dealt = (pack.deal() for _ in DISTRACTIONS)
    sentence = next((each for each in dealt if guarded.words.isdisjoint(re.findall(r"\w+", each.casefold()))), None)
    if sentence is None:
        return text
    blank = "\n\n" if "\n" in text.strip() else " "
    may_follow = text.rstrip()[-1:] in (".", "?", "!") and ":" not in text and not guarded.continued
    if may_follow and rng.random() < 0.5:  # noqa: PLR2004
        return f"{text.rstrip()}{blank}{sentence}"
    return f"{sentence}{blank}{text}"


def _some(found: list[re.Match[str]], share: float, rng: Random) -> list[re.Match[str]]:
    """A share of what was found, at least one where there is any, in order."""
    if not found:
        return []
    chosen = [match for match in found if rng.random() < share]
    return chosen or [found[int(rng.random() * len(found))]]


def _misspelt(word: str, rng: Random) -> str:
    """The word with one letter swapped with the next, dropped or doubled; never its first one."""
    at = 1 + int(rng.random() * (len(word) - 2))
    way = int(rng.random() * 3)
    if way == 0 and word[at] != word[at + 1]:
        return f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
    if way == 1:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at] + word[at:]
