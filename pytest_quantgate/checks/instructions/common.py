"""What the instruction checks share: relations, limits, words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pytest_quantgate.checks.arguments import listed
from pytest_quantgate.checks.early import once
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.registry import Validate
from pytest_quantgate.checks.rules import whole

Relation = Literal["at least", "less than"]
"""How a count is compared with its limit, in the words of the public data."""


def compared(count: int, units: str, relation: Relation, limit: float) -> Finding:
    """Judge a count: ``at least`` includes its limit, ``less than`` does not."""
    kept = count >= limit if relation == "at least" else count < limit
    counted = f"{units}: {count}"
    return followed(counted) if kept else violated(f"{counted}, {relation} {limit:.0f} asked for")


def count_told(count: int, relation: Relation, limit: float) -> bool | None:
    """What `compared` will say of a count that can only grow: known as soon as it has come to the limit."""
    return once(count >= limit, means=relation == "at least")


def exactly(count: int, units: str, wanted: float) -> Finding:
    """Judge a count that must be met."""
    counted = f"{units}: {count}"
    return followed(counted) if count == wanted else violated(f"{counted}, exactly {wanted:.0f} asked for")


def limited(name: str, relation: str = "relation") -> Validate:
    """Problems of a limit and its relation: no count is below zero, so none is less than 0."""

    def problems(arguments: Mapping[str, Any]) -> Iterator[str]:
        yield from whole(1 if arguments[relation] == "less than" else 0, name)(arguments)

    return problems


def occurrences(text: str, words: str) -> int:
    """How often words stand in a text, whatever their case, not as a part of longer words.

    A letter, a digit or a combining mark at either end makes a longer word; an underscore is emphasis and does
    not. In scripts that write no spaces between words (Han, kana, Thai, Lao, Khmer, Burmese), parts count.
    """
    return sum(1 for _ in _found(text, words))


def contains(text: str, words: str) -> bool:
    """Whether words stand in a text at least once; see occurrences."""
    return any(True for _ in _found(text, words))


_FIRST_MARK = "\u0300"

_MOST_WORDS = 100
_LONGEST_WORD = 1_000  # the time of a search grows with the product of both lengths

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def _found(text: str, words: str) -> Iterator[re.Match[str]]:
    """Where words stand in a text; see occurrences."""
    wanted = words.strip()
    before = r"(?<![^\W_])" if _is_lettered(wanted[0]) else ""
    after = r"(?![^\W_])" if _is_lettered(wanted[-1]) else ""
    for match in re.finditer(f"{before}{re.escape(wanted)}{after}", text, re.IGNORECASE):
        # combining marks are no word characters to Python
        if not ((before and _is_mark(text, match.start() - 1)) or (after and _is_mark(text, match.end()))):
            yield match


def _is_mark(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at] >= _FIRST_MARK and unicodedata.category(text[at])[0] == "M"


def _is_lettered(character: str) -> bool:
    """Whether this letter or digit would run on into a neighbour that is one."""
    if _UNSPACED.match(character):
        return False
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def searchable(name: str) -> Validate:
    """This argument, a text or a list of them, can be searched for: there are some, bounded, and none is blank."""

    def problems(arguments: Mapping[str, Any]) -> Iterator[str]:
        words = listed(arguments[name])
        if not words:
            yield f"argument {name!r} is empty: name at least one word"
        if len(words) > _MOST_WORDS:
            yield f"argument {name!r} holds {len(words)} texts; at most {_MOST_WORDS} are searched for"
        for word in words:
            if len(word) > _LONGEST_WORD:
                yield (
                    f"argument {name!r} holds a text of {len(word):,} characters; at most {_LONGEST_WORD:,} are allowed"
                )
            if not word.strip():
                yield f"argument {name!r} holds a blank text: {quoted(word)}"

    return problems
