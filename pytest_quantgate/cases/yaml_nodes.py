"""Reads YAML into nodes, event by event: no constructors, no aliases, bounded depth, every line known.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), not PyYAML's
1.1: ``yes``, ``no``, ``on`` and ``off`` are text, ``012`` is twelve, and ``2024-01-01`` is no date.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from pytest_quantgate.cases.nodes import MAX_DEPTH, Node, Unreadable, Value
from pytest_quantgate.cases.problems import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantgate.cases.problems import Problems

# The parser in C reads ten times as fast; wheels have it, some source builds do not.
_Parser: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_CONSTANTS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER_STARTS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS = 400  # past the range of a float; also keeps clear of Python's own limit

# What YAML forbids in a stream (https://yaml.org/spec/1.2.2/#51-character-set), and a mark inside it.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_yaml(text: str, problems: Problems) -> Node | None:
    """Read one YAML document.

    Args:
        text: The whole file.
        problems: Where every problem is noted. Repeated keys, aliases and tags let the reading go on;
            bad syntax and too much depth end it.

    Returns:
        The document, or None when it could not be read to its end.
    """
    if bad := _FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        problems.add(line, f"bad YAML: character U+{ord(bad.group()):04X} is not allowed")
        return None
    try:
        return _Builder(text, problems).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = ", ".join(part for part in (error.context, error.problem) if part)
        problems.add(mark.line + 1 if mark else 1, f"bad YAML: {told}")
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two: the one in Python, on escapes
        problems.add(1, f"bad YAML: {' '.join(str(error).split())}")
    return None


class _Builder:
    """Builds nodes from the parser's events; its recursion is bounded by ``MAX_DEPTH``."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._next_event: Callable[[], Any] = _Parser(text).get_event
        self._problems = problems

    def document(self) -> Node:
        """The one document of the stream; an empty one is a null."""
        self._next_event()  # the stream starts
        if type(self._next_event()) is yaml.StreamEndEvent:
            return Node(None, 1)
        event = self._next_event()
        root = Node(self._value(event, 0), event.start_mark.line + 1)
        self._next_event()  # the document ends
        event = self._next_event()
        if type(event) is not yaml.StreamEndEvent:
            raise yaml.MarkedYAMLError(problem="a second document begins", problem_mark=event.start_mark)
        return root

    def _value(self, event: Any, depth: int) -> Value:
        kind = type(event)
        if kind is yaml.AliasEvent:
            message = f"aliases ({quoted('*' + event.anchor)}) are not supported: write the value out"
            self._problems.add(event.start_mark.line + 1, message)
            return Unreadable.VALUE
        if event.tag is not None:
            self._refuse_tag(event)
        if kind is yaml.ScalarEvent:
            # Quoted text and blocks have a style; that of a plain scalar is empty, or None.
            text: str = event.value
            return text if event.style else self._resolved(text, event)
        if depth >= MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return self._mapping(depth + 1) if kind is yaml.MappingStartEvent else self._list(depth + 1)

    def _list(self, depth: int) -> list[Node]:
        items: list[Node] = []
        while type(event := self._next_event()) is not yaml.SequenceEndEvent:
            items.append(Node(self._value(event, depth), event.start_mark.line + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Node]:
        pairs: dict[str, Node] = {}
        while type(event := self._next_event()) is not yaml.MappingEndEvent:
            line = event.start_mark.line + 1
            # A key is the text that stands there: keys of JSON are nothing else.
            key = event.value if type(event) is yaml.ScalarEvent and event.tag is None else None
            if key is None and self._value(event, depth) is not Unreadable.VALUE:
                self._problems.add(line, "a key must be plain text")
            value = Node(self._value(self._next_event(), depth), line)
            if key in pairs:
                self._problems.add(line, f"duplicate key {quoted(key)} (first on line {pairs[key].line})")
            elif key is not None:
                pairs[key] = value
        return pairs

    def _resolved(self, text: str, event: Any) -> Value:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        return self._number(text, event) if text[0] in _NUMBER_STARTS else text

    def _number(self, text: str, event: Any) -> Value:
        if not _FLOAT.fullmatch(text):
            base = 8 if _OCTAL.fullmatch(text) else 16 if _HEXADECIMAL.fullmatch(text) else None
            return int(text, base=0) if base and len(text) <= _MAX_DIGITS else text
        if not _DECIMAL.fullmatch(text):
            return float(text)
        if len(text) <= _MAX_DIGITS:
            return int(text)
        self._problems.add(event.start_mark.line + 1, f"a number of {len(text)} digits: quote it if it is text")
        return Unreadable.VALUE

    def _refuse_tag(self, event: Any) -> None:
        shown = quoted(event.tag.replace("tag:yaml.org,2002:", "!!"))
        self._problems.add(event.start_mark.line + 1, f"tags ({shown}) are not supported: write a plain value")
