"""Typed reading of nodes: each function gives the value, or notes a problem and gives None."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.cases.nodes import Node, Unreadable, is_encodable
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_quantgate.cases.problems import Problems

LONGEST_NAME = 200
"""Most characters of an id or another name that appears in node ids and reports."""

MOST_UNKNOWN = 20
"""Unknown keys of one mapping that are told: looking for the nearest valid one takes time."""


def mapping(
    node: Node, what: str, problems: Problems, *, known: Iterable[str], required: Iterable[str] = ()
) -> Mapping[str, Node] | None:
    """Read a mapping whose keys are known beforehand.

    Args:
        node: The node to read.
        what: What it is, for messages: ``a case``.
        problems: Where unknown and missing keys are noted.
        known: The keys that it may have.
        required: The keys that it must have.

    Returns:
        Its pairs, those with unknown keys left out; None when it is no mapping.
    """
    value = node.value
    if not isinstance(value, dict):
        wrong_type(node, f"{what} must be a mapping", problems)
        return None
    valid = tuple(known)
    for key in required:
        if key not in value:
            problems.add(node.line, f"{what} needs the key {key!r}")
    others = [key for key in value if key not in valid]
    if len(others) > MOST_UNKNOWN:
        problems.add(node.line, f"{len(others)} unknown keys in {what}, of which the first {MOST_UNKNOWN} are told")
    for key in others[:MOST_UNKNOWN]:
        line = value[key].line
        problems.add(line, f"unknown key {quoted(key)} in {what}; {nearest(key[:LONGEST_NAME], valid)}")
    return {key: item for key, item in value.items() if key in valid} if others else value


def named(
    node: Node, what: str, key: str, problems: Problems, *, kind: str, known: Iterable[str]
) -> tuple[str, Node] | None:
    """Read a mapping that names, under one of its keys, who is to read the rest of it.

    Args:
        node: The node to read.
        what: What it is, for messages: ``'generate'``.
        key: Where the name stands.
        problems: Where everything that is wrong with the name is noted.
        kind: What it is the name of, for messages: ``generator``.
        known: The names that it may be.

    Returns:
        The name, and the mapping without its key; None when there is no such name.
    """
    value = node.value
    if not isinstance(value, dict):
        wrong_type(node, f"{what} must be a mapping", problems)
        return None
    if key not in value:
        problems.add(node.line, f"{what} needs the key {key!r}")
        return None
    given, valid = text(value[key], f"{key!r}", problems), tuple(known)
    if given is None:
        return None
    if given not in valid:
        unknown(value[key], kind, given, problems, known=valid)
        return None
    return given, Node({other: item for other, item in value.items() if other != key}, node.line)


def items(node: Node, what: str, problems: Problems) -> list[Node] | None:
    """Read a list that may not be empty."""
    value = node.value
    if not isinstance(value, list):
        wrong_type(node, f"{what} must be a list", problems)
        return None
    if not value:
        problems.add(node.line, f"{what} must not be empty")
        return None
    return value


def text(node: Node, what: str, problems: Problems, *, may_be_empty: bool = False) -> str | None:
    """Read text as it stands."""
    value = node.value
    if not isinstance(value, str):
        hint = ": quote it" if isinstance(value, bool | int | float) else ""
        wrong_type(node, f"{what} must be text", problems, hint)
    elif not may_be_empty and not value.strip():
        problems.add(node.line, f"{what} must not be empty")
    elif not is_encodable(value):
        problems.add(node.line, f"{what} holds half of a surrogate pair, which is no character")
    else:
        return value
    return None


def name(node: Node, what: str, problems: Problems) -> str | None:
    """Read text that can stand in a node id: printable, one line, without ``::``."""
    value = text(node, what, problems)
    if value is None:
        return None
    if not value.isprintable():
        problems.add(node.line, f"{what} {quoted(value)} holds a character that cannot be printed")
    elif "::" in value:
        problems.add(node.line, f"{what} {quoted(value)} holds '::', which separates the parts of a node id")
    elif len(value) > LONGEST_NAME:
        problems.add(node.line, f"{what} has {len(value)} characters; at most {LONGEST_NAME} are allowed")
    else:
        return value
    return None


def integer(node: Node, what: str, problems: Problems, *, least: int, most: int | None = None) -> int | None:
    """Read a whole number from ``least`` to ``most``."""
    value = node.value
    bounds = f", {least} or more" if most is None else f" from {least} to {most}"
    wanted = f"{what} must be a whole number{bounds}"
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type(node, wanted, problems)
    elif value < least or (most is not None and value > most):
        problems.add(node.line, f"{wanted}, not {quoted(value)}")
    else:
        return value
    return None


def integer_of(
    pairs: Mapping[str, Node], key: str, problems: Problems, *, least: int, most: int | None = None
) -> int | None:
    """Read the whole number under a key; None also when the key is not there, which is no problem here."""
    return integer(pairs[key], f"{key!r}", problems, least=least, most=most) if key in pairs else None


def names_of(pairs: Mapping[str, Node], key: str, what: str, problems: Problems, *, known: Iterable[str]) -> list[str]:
    """Read the list under a key that names some of what is known, each once.

    Args:
        pairs: The mapping that may have the key.
        key: Where the list stands.
        what: What its items are, for messages: ``language``.
        problems: Where names that are unknown or listed twice are noted.
        known: The names that it may hold.

    Returns:
        The names in the list's order; all that are known when the key is not there.
    """
    valid = tuple(known)
    if key not in pairs:
        return list(valid)
    names: list[str] = []
    for item in items(pairs[key], f"{key!r}", problems) or ():
        given = text(item, f"a {what}", problems)
        if given is None:
            continue
        if given not in valid:
            unknown(item, what, given, problems, known=valid)
        elif given in names:
            problems.add(item.line, f"{what} {quoted(given)} is listed twice")
        else:
            names.append(given)
    return names


def unknown(node: Node, what: str, given: str, problems: Problems, *, known: Iterable[str]) -> None:
    """Note a name that is none of those that are known, and the nearest of them."""
    problems.add(node.line, f"unknown {what} {quoted(given)}; {nearest(given[:LONGEST_NAME], known)}")


def fraction(node: Node, what: str, problems: Problems) -> float | None:
    """Read a number from 0 to 1."""
    value = node.value
    wanted = f"{what} must be a number from 0 to 1"
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(node, wanted, problems)
    elif not 0 <= value <= 1:  # so a NaN is refused too
        problems.add(node.line, f"{wanted}, not {quoted(value)}")
    else:
        return float(value)
    return None


def wrong_type(node: Node, wanted: str, problems: Problems, hint: str = "") -> None:
    """Note a value of another type than wanted, unless its own problem is noted already."""
    if node.value is not Unreadable.VALUE:
        problems.add(node.line, f"{wanted}, not {_described(node)}{hint}")


def _described(node: Node) -> str:
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    kind = "the text" if isinstance(value, str) else "true or false:" if isinstance(value, bool) else "the number"
    return f"{kind} {quoted(value)}"
