"""Typed reading of JSON that somebody else may have written: every mismatch is one clear error."""

from __future__ import annotations

import json
from math import isfinite, nan
from types import NoneType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

T = TypeVar("T")

MOST = 2**63 - 1
"""Largest count: no real one comes near it, and computing with much larger ones overflows."""


class MismatchError(Exception):
    """A value that is missing or of the wrong type; its message is the path and the expectation."""


class Fields:
    """One JSON object, read by key and expected type.

    Args:
        value: The object.
        where: Its path in the document, for messages.

    Raises:
        MismatchError: By every method, when the value is missing or of another type.
    """

    __slots__ = ("_value", "_where")

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            msg = f"{where} is not an object"
            raise MismatchError(msg)
        self._value: dict[str, Any] = value
        self._where = where

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def text(self, key: str) -> str:
        """A string."""
        value = self._get(key)
        return value if isinstance(value, str) else self.refuse(key, "a string")

    def optional_text(self, key: str) -> str | None:
        """A string or null."""
        return None if self._get(key) is None else self.text(key)

    def count(self, key: str) -> int:
        """A whole number, 0 or more, below 2**63."""
        value = self._get(key)
        return value if type(value) is int and 0 <= value <= MOST else self.refuse(key, "a count")

    def optional_flag(self, key: str) -> bool | None:
        """True, false or null."""
        value = self._get(key)
        return value if value is None or isinstance(value, bool) else self.refuse(key, "true, false or null")

    def choice(self, key: str, allowed: Collection[str]) -> str:
        """One of the allowed strings."""
        value = self.text(key)
        return value if value in allowed else self.refuse(key, f"one of {', '.join(allowed)}")

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._list(key, {str}, "a list of strings"))

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(self._list(key, {int}, "a list of whole numbers"))

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of numbers; null, which stands for a number that JSON cannot write, becomes NaN."""
        values = self._list(key, {float, int, NoneType}, "a list of numbers")
        if set(map(type, values)) <= {float}:  # nearly always, and there may be a million of them
            return tuple(values)
        try:
            return tuple(nan if value is None else float(value) for value in values)
        except OverflowError:
            self.refuse(key, "a list of numbers that can be computed with")

    def mapping(self, key: str) -> Mapping[str, Any]:
        """An object with any JSON values."""
        value = self._get(key)
        return value if isinstance(value, dict) else self.refuse(key, "an object")

    def text_mapping(self, key: str) -> Mapping[str, str]:
        """An object whose values are strings."""
        value = self.mapping(key)
        if not set(map(type, value.values())) <= {str}:
            self.refuse(key, "an object of strings")
        return value

    def fields(self, key: str) -> Fields:
        """An object, to be read by its keys."""
        return Fields(self._get(key), f"{self._where}.{key}")

    def value(self, key: str, kind: type[T]) -> T:
        """A dataclass of plain values, read by the types of its fields; its whole numbers are counts."""
        return _convert(self._get(key), kind, f"{self._where}.{key}")

    def optional_value(self, key: str, kind: type[T]) -> T | None:
        """The same or null."""
        return None if self._get(key) is None else self.value(key, kind)

    def values(self, key: str, kind: type[T]) -> tuple[T, ...]:
        """A list of such dataclasses."""
        members = self._list(key, {dict}, "a list of objects")
        return tuple(_convert(each, kind, f"{self._where}.{key}[{index}]") for index, each in enumerate(members))

    def each(self, key: str) -> Iterator[Fields]:
        """The objects of a list."""
        for index, value in enumerate(self._list(key, {dict}, "a list of objects")):
            yield Fields(value, f"{self._where}.{key}[{index}]")

    def members(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The objects of an object, with their keys."""
        for name, value in self.mapping(key).items():
            yield name, Fields(value, f"{self._where}.{key}[{name!r}]")

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise the error of a value that is not what is expected."""
        msg = f"{self._where}.{key} is not {expected}"
        raise MismatchError(msg)

    def _list(self, key: str, kinds: set[type], expected: str) -> list[Any]:
        value = self._get(key)
        if isinstance(value, list) and set(map(type, value)) <= kinds:
            return value
        return self.refuse(key, expected)

    def _get(self, key: str) -> Any:
        try:
            return self._value[key]
        except KeyError:
            msg = f"{self._where}.{key} is missing"
            raise MismatchError(msg) from None


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON document that must be one object, without NaN or infinity.

    Raises:
        MismatchError: It is no JSON, or not an object.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        msg = f"it is not JSON ({error})"
        raise MismatchError(msg) from error
    if not isinstance(value, dict):
        msg = "it is not a JSON object"
        raise MismatchError(msg)
    return value


def _convert(value: object, kind: type[T], where: str) -> T:
    from msgspec import ValidationError, convert

    _refuse_wild_numbers(value, where)
    try:
        return convert(value, kind, strict=True)
    except ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        msg = f"{where}{path.removesuffix('`')}: {what[:1].lower()}{what[1:]}"
        raise MismatchError(msg) from None
    except UnicodeEncodeError:  # msgspec's, of a key, or where text does not belong
        msg = f"{where} holds half of a surrogate pair"
        raise MismatchError(msg) from None


def _refuse_wild_numbers(value: object, where: str) -> None:
    """Types do not tell how large a number is: refuse infinities, and counts below 0 or above ``MOST``."""
    waiting = [value]  # not by recursion, which a value that is nested deeply would exhaust
    while waiting:
        member = waiting.pop()
        if isinstance(member, dict):
            waiting.extend(member.values())
        elif isinstance(member, list):
            waiting.extend(member)
        elif (type(member) is int and not 0 <= member <= MOST) or (type(member) is float and not isfinite(member)):
            msg = f"{where} holds a number that is out of range"
            raise MismatchError(msg)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
