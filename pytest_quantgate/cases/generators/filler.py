"""Seeded filler: grammatical English sentences that say nothing a question could be about."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.generators import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SLOT: Final = re.compile(r"{(\w+)}")
_SLOTS: Final = {
    "who": words.WHO,
    "other": words.OTHER,
    "place": words.PLACE,
    "thing": words.THING,
    "did": words.DID,
    "when": words.WHEN,
    "when_later": words.WHEN_LATER,
    "scent": words.SCENT,
    "weather": words.WEATHER,
    "quality": words.QUALITY,
    "reason": words.REASON,
}


def sentences(rng: Random) -> Iterator[str]:
    """Sentences without end.

    Patterns and phrases are dealt like cards: none comes back before the rest of its pack was used, so
    that no stretch of text looks like a loop.

    Args:
        rng: Source of chance; only ``random()`` is drawn from, which is the same in every Python.
    """
    patterns = Pack(rng, words.PATTERNS)
    packs = {slot: Pack(rng, phrases) for slot, phrases in _SLOTS.items()}
    while True:
        sentence = _SLOT.sub(lambda slot: packs[slot[1]].deal(), patterns.deal())
        yield sentence[0].upper() + sentence[1:]


class Pack:
    """Deals its cards in random order, and shuffles them anew when it runs out.

    Args:
        rng: Source of chance; only ``random()`` is drawn from.
        cards: What is dealt; not empty.
    """

    def __init__(self, rng: Random, cards: Sequence[str]) -> None:
        self._rng = rng
        self._cards = cards
        self._left: list[str] = []

    def deal(self) -> str:
        """The next card."""
        if not self._left:
            self._left = list(self._cards)
            # Our own shuffle: how random.shuffle draws is not promised to stay the same.
            for last in range(len(self._left) - 1, 0, -1):
                other = int(self._rng.random() * (last + 1))
                self._left[last], self._left[other] = self._left[other], self._left[last]
        return self._left.pop()
