"""Which texts a pattern can match: every match holds at least one of its needles, so a text without one has no match.

Needles are read from a pattern's own structure, as indexes for regular expressions do (Cox 2012, "Regular Expression
Matching with a Trigram Index"): what stands side by side is joined while few texts come of it, alternatives are put
together, and of all the parts that a match must have, the one that is rarest in texts is kept. Where the structure
cannot be read, or says too little, there are no needles, and the pattern is tried on every text.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

GRAM: Final = 4
"""Characters by which a needle is looked for at first; a shorter one is looked for by its first character."""

MOST: Final = 200
"""Texts that are told apart: what would be more is not joined."""

LONG: Final = 5
"""Characters that make a needle rare: among choices of longer ones, the one with the fewest is best."""

LONGEST: Final = 8
"""Characters of a needle that are looked for."""

Texts = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of one part of a pattern.

    Attributes:
        exact: Every text that it matches; None where these are many.
        needed: Texts one of which is in each of its matches; None where nothing is known.
    """

    exact: Texts | None = None
    needed: Texts | None = None

    @property
    def best(self) -> Texts | None:
        """Its needles."""
        return _rarest((self.exact, self.needed))


_UNKNOWN: Final = _Part()
_EMPTY: Final = _Part(frozenset({""}))  # positions and looks around take no characters


def needles(pattern: str) -> Texts:
    """Texts one of which is part of every match of a pattern; none where that is not known."""
    try:
        # not a public module: where it is gone or has changed, nothing is known of any pattern
        parsed = import_module("re._parser").parse(pattern)
        if parsed.state.flags & (re.IGNORECASE | re.VERBOSE):
            return frozenset()
        found = {needle[:LONGEST] for needle in _sequence(parsed).best or ()}
        return frozenset(each for each in found if not any(other in each for other in found - {each}))
    except (ImportError, AttributeError, TypeError, ValueError):
        return frozenset()


class Index:
    """Finds which of many patterns a text could match; hardly slower for many patterns than for few.

    Args:
        patterns: The patterns, told apart by their place.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._always = 0
        places: dict[str, int] = defaultdict(int)
        for place, pattern in enumerate(patterns):
            found = needles(pattern)
            if not found:
                self._always |= 1 << place
            for needle in found:
                places[needle] |= 1 << place
        self._long: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
        self._short: dict[str, list[tuple[str, int]]] = defaultdict(list)
        shared = Counter(gram for needle in places for gram in _grams(needle))
        for needle, bits in places.items():
            if len(needle) < GRAM:
                self._short[needle[0]].append((needle, bits))
            else:
                self._long[min(_grams(needle), key=shared.__getitem__)].append((needle, bits))

    def possible(self, text: str) -> int:
        """Places of the patterns that a text, or a part of it, could match, as bits: no other pattern does."""
        bits = self._always
        for gram in self._long.keys() & set(_grams(text)):
            for needle, places in self._long[gram]:
                if needle in text:
                    bits |= places
        for first in self._short.keys() & set(text):
            for needle, places in self._short[first]:
                if needle in text:
                    bits |= places
        return bits


def _grams(text: str) -> Iterator[tuple[str, ...]]:
    return zip(*(text[start:] for start in range(GRAM)), strict=False)


def _rarest(choices: Iterable[Texts | None]) -> Texts | None:
    """The needles that texts hold least often: the longest, then the fewest; None where none says anything."""
    told = [texts for texts in choices if texts and "" not in texts]
    return max(told, key=lambda texts: (min(LONG, *map(len, texts)), -len(texts)), default=None)


def _sequence(items: Iterable[tuple[Any, Any]]) -> _Part:
    """Parts one after another."""
    parts = tuple(_parts(items))
    if len(parts) == 1:
        return parts[0]
    joined: Texts = frozenset({""})
    whole, found = True, []
    for part in parts:
        found.append(part.needed)
        if part.exact is not None and len(joined) * len(part.exact) <= MOST:
            joined = frozenset(first + second for first in joined for second in part.exact)
        else:
            found.append(joined)
            whole, joined = False, part.exact or frozenset({""})
    return _Part(joined if whole else None, _rarest((*found, joined)))


def _parts(items: Iterable[tuple[Any, Any]]) -> Iterator[_Part]:
    """The parts of a sequence; characters side by side are one."""
    letters = ""
    for name, value in items:
        if name.name == "LITERAL":
            letters += chr(value)
        else:
            if letters:
                yield _Part(frozenset({letters}))
                letters = ""
            yield _part(name.name, value)
    if letters:
        yield _Part(frozenset({letters}))


def _part(name: str, value: Any) -> _Part:
    """One item as Python's own parser names it."""
    match name:
        case "IN":
            found = _class(value)
        case "AT" | "ASSERT" | "ASSERT_NOT":
            found = _EMPTY
        case "SUBPATTERN":
            _, added, removed, items = value
            found = _UNKNOWN if added or removed else _sequence(items)
        case "ATOMIC_GROUP":
            found = _sequence(value)
        case "BRANCH":
            found = _either([_sequence(items) for items in value[1]])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            found = _repeated(*value)
        case _:
            found = _UNKNOWN
    return found


def _either(parts: Sequence[_Part]) -> _Part:
    exact: set[str] = set()
    needed: set[str] = set()
    for part in parts:
        exact.update(part.exact or ())
        needed.update(part.best or ())
    return _Part(
        frozenset(exact) if len(exact) <= MOST and all(part.exact is not None for part in parts) else None,
        frozenset(needed) if all(part.best is not None for part in parts) else None,
    )


def _repeated(least: int, most: int, items: Any) -> _Part:
    part = _sequence(items)
    if least == most == 1:
        return part
    if least:
        return _Part(needed=part.best)
    return _Part(part.exact | {""}) if most == 1 and part.exact is not None else _UNKNOWN


def _class(items: Sequence[tuple[Any, Any]]) -> _Part:
    """Characters in square brackets."""
    found: set[str] = set()
    for name, value in items:
        low, high = (value, value) if name.name == "LITERAL" else value if name.name == "RANGE" else (0, MOST)
        if high - low >= MOST:
            return _UNKNOWN
        found |= {chr(code) for code in range(low, high + 1)}
    return _Part(frozenset(found)) if len(found) <= MOST else _UNKNOWN
