"""A value together with the line it is written on: what YAML, JSON lines and generators all become."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pytest_quantgate.cases.problems import Problems

MAX_DEPTH = 64
"""Deepest nesting that a file may use; far more than a JSON schema written by hand."""


class Unreadable(Enum):
    """Stands for a value whose problem is already noted, so that nobody complains about it twice."""

    VALUE = "unreadable"


Value: TypeAlias = "bool | int | float | str | Unreadable | list[Node] | dict[str, Node] | None"


class Node(NamedTuple):
    """A value and its line.

    Attributes:
        value: A scalar, or a list or mapping of nodes.
        line: Counted from 1; a mapping's value has the line of its key.
    """

    value: Value
    line: int


class TooDeepError(Exception):
    """A value is nested deeper than ``MAX_DEPTH``."""


def node_of(value: object, line: int, depth: int = 0) -> Node:
    """Wrap a JSON-like value that stands on one line.

    Args:
        value: Scalars, lists, tuples, and mappings with text keys.
        line: The line that every part of it gets.
        depth: How deep the value itself is nested.

    Raises:
        TooDeepError: It is nested deeper than ``MAX_DEPTH``.
        TypeError: It holds something that JSON has no word for.
    """
    if value is None or isinstance(value, (str, int, float)):  # faster than a union
        return Node(value, line)
    if depth >= MAX_DEPTH:
        raise TooDeepError
    if isinstance(value, list | tuple):
        return Node([node_of(item, line, depth + 1) for item in value], line)
    if isinstance(value, dict):
        return Node({key: node_of(item, line, depth + 1) for key, item in value.items()}, line)
    msg = f"{type(value).__name__} is not a JSON value"
    raise TypeError(msg)


def plain(node: Node, problems: Problems) -> object:
    """The JSON value without its lines.

    What JSON cannot say (infinity, not a number, half a surrogate pair) is noted as a problem.
    """
    value = node.value
    if isinstance(value, dict):
        for key in value:
            _check_text(key, node.line, problems)
        return {key: plain(item, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, problems) for item in value]
    if isinstance(value, str):
        _check_text(value, node.line, problems)
    elif isinstance(value, float) and not math.isfinite(value):
        problems.add(node.line, f"{value} is not a finite number")
    return None if isinstance(value, Unreadable) else value


def is_encodable(text: str) -> bool:
    """Whether the text is free of lone surrogates, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_text(text: str, line: int, problems: Problems) -> None:
    if not is_encodable(text):
        problems.add(line, "text holds half of a surrogate pair (a \\ud800-like escape), which is no character")
