"""Reads JSON lines: one object a line, blank lines skipped (https://jsonlines.org)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from pytest_quantgate.cases.nodes import MAX_DEPTH, Node, TooDeepError, node_of
from pytest_quantgate.cases.problems import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantgate.cases.problems import Problems


def read_json_lines(text: str, problems: Problems) -> list[Node]:
    """Read every line that can be read; each of the others is a problem of its own.

    Args:
        text: The whole file.
        problems: Where bad lines are noted.

    Returns:
        The objects in order, each with its line.
    """
    nodes = []
    # Not splitlines(): JSON strings may hold U+2028 and other breaks that it would cut at.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            node = node_of(_decoder.decode(content), line)
        except json.JSONDecodeError as error:
            problems.add(line, f"bad JSON: {error.msg} (column {error.colno})")
        except (RecursionError, TooDeepError):
            problems.add(line, f"nested deeper than {MAX_DEPTH} levels")
        except ValueError as error:
            problems.add(line, f"bad JSON: {error}")
        else:
            nodes.append(node)
    return nodes


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            msg = f"duplicate key {quoted(key)}"
            raise ValueError(msg)
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
