"""Reads JSON lines: one object a line, blank lines skipped (https://jsonlines.org)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.nodes import MAX_DEPTH, Node, TooDeepError, Unreadable, node_of
from pytest_quantgate.cases.strict_json import DECODER

if TYPE_CHECKING:
    from pytest_quantgate.cases.problems import Problems

MOST_BAD: Final = 1_000
"""Lines of one file that cannot be read; behind them the file is given up, as it is no file of that kind."""

GIVEN_UP: Final = f"{MOST_BAD:,} lines cannot be read: those behind this one are not looked at"

_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"


def read_json_lines(text: str, problems: Problems, most: int | None = None) -> list[Node]:
    """Read every line that can be read; each of the others is a problem of its own.

    Args:
        text: The whole file.
        problems: Where bad lines are noted.
        most: How many objects are read; None for all.

    Returns:
        The objects in order, each with its line.
    """
    nodes: list[Node] = []
    before = len(problems)
    # Not splitlines(): JSON strings may hold U+2028 and other breaks that it would cut at.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        if len(nodes) == most:
            break
        if len(problems) - before == MOST_BAD:
            problems.add(line - 1, GIVEN_UP)
            break
        node = read_json_line(content, line, problems)
        if node is not None:
            nodes.append(node)
    return nodes


def read_json_line(content: str, line: int, problems: Problems) -> Node | None:
    """What stands on one line that is not blank; None, noted, when it cannot be read."""
    value = json_of(content, line, problems)
    if value is Unreadable.VALUE:
        return None
    try:
        return node_of(value, line)
    except TooDeepError:
        problems.add(line, _TOO_DEEP)
        return None


def json_of(content: str, line: int, problems: Problems) -> object:
    """The same as a plain value; ``Unreadable.VALUE``, noted, when it cannot be read."""
    try:
        return DECODER.decode(content)
    except json.JSONDecodeError as error:
        problems.add(line, f"bad JSON: {error.msg} (column {error.colno})")
    except RecursionError:
        problems.add(line, _TOO_DEEP)
    except ValueError as error:
        problems.add(line, f"bad JSON: {error}")
    return Unreadable.VALUE
