"""What can be told of an answer from its beginning: building blocks of the ``decided`` functions of checks.

All that they rest on is that an answer only grows. What is not certain is not known.
"""

from __future__ import annotations

import re
from typing import Final

_ATOM: Final = r"(?:[^\\.^$*+?{}\[\]|()]|\\[dDwWsS]|\\[^\w\s]|\.|\[\^?(?:[^\[\]\\&|~]|\\[dDwWsS]|\\[^\w\s])+\])"
_ITEM: Final = rf"(?:{_ATOM}|\\[bB]|[\^|)]|\((?:\?:|(?!\?)))"
_REPEATED: Final = rf"(?:{_ATOM}(?:[*+?]|\{{\d+(?:,\d*)?\}})\??(?![*+?{{]))"
_ESCAPE: Final = re.compile(r"\\.", re.DOTALL)
_PLAIN: Final = re.compile(rf"{_ITEM}*{_REPEATED}?{_ITEM}*")
"""Texts, classes, groups, alternatives, the answer's start, word boundaries, and one repeat of one character.

No lookaround, end, reference, flag, fuzziness or possessive repeat: a match of what is left depends on itself and on
the characters beside it. No second repeat and none of a group: a search that backtracks for long is given up.
"""


def settled(so_far: str) -> str:
    """An answer's beginning up to its last white space: words and numbers in it are whole.

    Args:
        so_far: The beginning, which may end inside a word.
    """
    end = next((at for at in range(len(so_far), 0, -1) if so_far[at - 1].isspace()), 0)
    return so_far[:end]


def complete_lines(so_far: str) -> str:
    """An answer's beginning up to its last line break.

    Args:
        so_far: The beginning, whose last line may go on.
    """
    return so_far[: so_far.rfind("\n") + 1]


def once(found: bool, *, means: bool) -> bool | None:  # noqa: FBT001  (what is asked reads as a sentence)
    """The result of a check that what was found decides, and that nothing else does.

    Args:
        found: Whether it was.
        means: What the check says then.
    """
    return means if found else None


def count_decided(count: int, low: int | None, high: int | None, exactly: int | None) -> bool | None:
    """What limits say of a count that can only grow.

    Args:
        count: How many there are so far.
        low: Fewest, where that is limited.
        high: Most, where that is limited.
        exactly: How many, where that is said.
    """
    most = high if exactly is None else exactly
    if most is not None:
        return once(count > most, means=False)
    return once(low is not None and count >= low, means=True)


def without_boundaries(pattern: str) -> str:
    """A plain pattern without its word boundaries: it matches wherever the pattern does, and elsewhere.

    Args:
        pattern: One that `is_plain` accepts.
    """
    return _ESCAPE.sub(lambda escape: "" if escape[0] in {r"\b", r"\B"} else escape[0], pattern)


def is_plain(pattern: str) -> bool:
    """Whether a match of the pattern that ends before an answer's end stays one, whatever follows.

    A pattern whose search could take long is not plain either: in the whole answer it might be given up.

    Args:
        pattern: One that compiles.
    """
    return _PLAIN.fullmatch(pattern) is not None
