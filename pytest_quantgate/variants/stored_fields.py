"""The values of a quantization config, each checked before it is used: it is a stranger's file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_quantgate.errors import ModelError

KEY: Final = "quantization_config"

AGAIN: Final = "download or copy it again, or name the unquantized model that it was made from"
LONGEST: Final = 200
"""Characters of a name or a module."""

_MOST_BITS = 16
_MOST_GROUP = 1 << 20
_MOST_PATTERNS = 10_000
_MOST_REPEATS = 5
# transformers and its libraries match these against module names: no pattern may take for ever. A group that repeats
# can, whatever it holds, such as (.|.)*; spaces are nothing in patterns that allow comments.
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")


class Fields:
    """The values of a quantization config, each checked when it is asked for.

    Args:
        values: The object.
        where: Its file.
    """

    __slots__ = ("values", "where")

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def wrong(self, what: str) -> ModelError:
        """The error for a value that cannot be right."""
        return ModelError(f"its {KEY} cannot be right: {what}", where=self.where, hint=AGAIN)

    def text(self, key: str, default: str = "") -> str:
        """A short text."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > LONGEST:
            raise self.wrong(f"{key} is not a short text")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where it is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(f"{key} is neither true nor false")
        return bool(value)

    def bits(self, key: str, *, choice: tuple[int, ...] = tuple(range(1, _MOST_BITS + 1))) -> int:
        """A number of bits."""
        value = self.values.get(key)
        if type(value) is not int or value not in choice:
            raise self.wrong(f"{key} is {shown(value)}, and not one of {', '.join(map(str, choice))}")
        return value

    def group(self, key: str) -> int | None:
        """Weights of a group; None for -1 or nothing, which stand for a whole row."""
        value = self.values.get(key)
        if value is None or value == -1:
            return None
        if type(value) is not int or not 1 <= value <= _MOST_GROUP:
            raise self.wrong(f"{key} is {shown(value)}, and not -1 or a number from 1 to {_MOST_GROUP:,}")
        return value

    def objects(self) -> list[Fields]:
        """All values, each an object, and at least one."""
        if not self.values or not all(isinstance(each, dict) for each in self.values.values()):
            raise self.wrong("there are no objects where some should be")
        return [Fields(each, self.where) for each in self.values.values()]

    def object(self, key: str) -> Fields | None:
        """An object; None where there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(f"{key} is not an object")
        return Fields(value, self.where)

    def check_patterns(self) -> None:
        """Refuses lists of module names that a matcher could be kept busy with.

        Raises:
            ModelError: With the first of them.
        """
        for number, text in enumerate(_texts(self.values)):
            repeats = sum(map(text.count, "*+{"))
            if number >= _MOST_PATTERNS or len(text) > LONGEST:
                raise self.wrong("it names more modules, or longer ones, than a model has")
            if repeats > _MOST_REPEATS or _REPEATED_GROUP.search(text):
                raise self.wrong(f"the pattern {shown(text)} could be matched for ever")


def _texts(value: Any) -> Iterator[str]:
    """All texts in lists, and all keys, however deep."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value
            left += value.values()
        elif isinstance(value, list):
            yield from (each for each in value if isinstance(each, str))
            left += (each for each in value if not isinstance(each, str))


def shown(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
