"""What JSON leaves to its readers, and Python's reader lets pass: keys given twice, NaN and Infinity.

RFC 8259 has no word for the latter, and calls the former unpredictable. Nothing here accepts either, be it a file of
cases or a model's answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_quantgate.cases.problems import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable


class StrictJsonError(ValueError):
    """What is no JSON, or not the same JSON to every reader; one line."""


def unique_keys(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """An object of its pairs; for ``object_pairs_hook``.

    Raises:
        StrictJsonError: A key is given twice.
    """
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            msg = f"duplicate key {quoted(key)}"
            raise StrictJsonError(msg)
        found[key] = value
    return found


def no_constant(name: str) -> NoReturn:
    """Refuse NaN, Infinity and -Infinity; for ``parse_constant``.

    Raises:
        StrictJsonError: Always.
    """
    msg = f"{name} is not JSON"
    raise StrictJsonError(msg)


DECODER: Final = json.JSONDecoder(object_pairs_hook=unique_keys, parse_constant=no_constant)
"""Reads JSON so; what is none raises a ValueError, a nesting that is too deep for Python a RecursionError."""
