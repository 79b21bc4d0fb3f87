"""Reads one case, whether a slice file, a line of JSON or a generator wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.model import GATE_ID, Case, CheckSpec, Location, Message, Role
from pytest_quantgate.cases.nodes import Node, plain
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantgate.cases.catalog import CheckCatalog
    from pytest_quantgate.cases.problems import Problems

CASE_KEYS: Final = ("id", "prompt", "messages", "system", "checks", "max_new_tokens", "tags", "cluster")
MOST_NEW_TOKENS: Final = 32_768

_ROLES: Final[tuple[Role, ...]] = get_args(Role)
_TAG: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Tags become markers: these would change what pytest does with the item, or cannot be written after -m.
_RESERVED_TAGS: Final = frozenset(
    {"and", "or", "not", "True", "False", "None", "skip", "skipif", "xfail", "parametrize", "usefixtures"}
    | {"filterwarnings", "tryfirst", "trylast", "quant_slice"}
)


def marker_name(tag: str) -> str:
    """The marker that a tag becomes: pytest takes neither dashes nor a leading underscore."""
    return tag.replace("-", "_").lstrip("_") or "tag"


class CaseReader:
    """Reads the cases of one slice.

    Args:
        catalog: Knows the checks.
        problems: Where every problem of a case is noted.
        max_new_tokens: For cases that name no limit of their own.
        system: For cases that have no system message of their own; empty for none.
    """

    def __init__(self, catalog: CheckCatalog, problems: Problems, *, max_new_tokens: int, system: str) -> None:
        self._catalog = catalog
        self._problems = problems
        self._max_new_tokens = max_new_tokens
        self._system = system
        self._first_lines: dict[str, int] = {}

    def read(self, node: Node) -> Case | None:
        """Read one case.

        Returns:
            The case; None when it has problems, all of which are noted.
        """
        problems = self._problems
        before = len(problems)
        pairs = fields.mapping(node, "a case", problems, known=CASE_KEYS, required=("id", "checks"))
        if pairs is None:
            return None
        case_id = self._id(pairs)
        messages = self._messages(pairs, node.line)
        checks = self._checks(pairs)
        limit = max_new_tokens(pairs, problems)
        tags = self._tags(pairs)
        cluster = fields.name(pairs["cluster"], "'cluster'", problems) if "cluster" in pairs else None
        if len(problems) > before or case_id is None:
            return None
        location = Location(problems.path, node.line)
        return Case(case_id, messages, checks, limit or self._max_new_tokens, tags, cluster, location)

    def _id(self, pairs: Mapping[str, Node]) -> str | None:
        if "id" not in pairs:
            return None
        node = pairs["id"]
        case_id = fields.name(node, "'id'", self._problems)
        if case_id is None:
            return None
        if case_id == GATE_ID:
            self._problems.add(node.line, f"id {quoted(GATE_ID)} is taken: it names the slice's gate result")
        if case_id in self._first_lines:
            first = self._first_lines[case_id]
            self._problems.add(node.line, f"duplicate id {quoted(case_id)} (first on line {first})")
        else:
            self._first_lines[case_id] = node.line
        return case_id

    def _messages(self, pairs: Mapping[str, Node], line: int) -> tuple[Message, ...]:
        problems = self._problems
        found: list[Message] = []
        if "prompt" in pairs and "messages" in pairs:
            problems.add(pairs["messages"].line, "a case has 'prompt' or 'messages', not both")
        elif "prompt" in pairs:
            prompt = fields.text(pairs["prompt"], "'prompt'", problems)
            found = [] if prompt is None else [Message("user", prompt)]
        elif "messages" in pairs:
            found = self._chat(pairs["messages"])
        else:
            problems.add(line, "a case needs the key 'prompt' or 'messages'")
        own_system = bool(found) and found[0].role == "system"
        system: str | None = "" if own_system else self._system
        if "system" in pairs:
            system = fields.text(pairs["system"], "'system'", problems, may_be_empty=True)
            if own_system:
                problems.add(pairs["system"].line, "a case has 'system' or a system message, not both")
        return (Message("system", system), *found) if system else tuple(found)

    def _chat(self, node: Node) -> list[Message]:
        problems = self._problems
        found: list[Message] = []
        turns = fields.items(node, "'messages'", problems) or []
        for turn in turns:
            pairs = fields.mapping(turn, "a message", problems, known=("role", "content"), required=("role", "content"))
            if pairs is None or "role" not in pairs or "content" not in pairs:
                continue
            role = _role(pairs["role"], problems)
            content = fields.text(pairs["content"], "'content'", problems)
            if role == "system" and turn is not turns[0]:
                problems.add(turn.line, "only the first message can be the system's")
            if role is not None and content is not None:
                found.append(Message(role, content))
        if found and len(found) == len(turns) and found[-1].role != "user":
            problems.add(turns[-1].line, "the last message must be the user's: it is the one to answer")
        return found

    def _checks(self, pairs: Mapping[str, Node]) -> tuple[CheckSpec, ...]:
        if "checks" not in pairs:
            return ()
        read = (self._check(node) for node in fields.items(pairs["checks"], "'checks'", self._problems) or ())
        return tuple(spec for spec in read if spec is not None)

    def _check(self, node: Node) -> CheckSpec | None:
        value = node.value
        raw: object = None
        if isinstance(value, dict) and len(value) == 1:
            ((name, argument),) = value.items()
            before = len(self._problems)
            raw = plain(argument, self._problems)
            if len(self._problems) > before:
                return None
        elif isinstance(value, str):
            name = value
        else:
            fields.wrong_type(node, "a check must be a name, or one name with its arguments", self._problems)
            return None
        spec, complaints = self._catalog.parse(name, raw)
        for complaint in complaints:
            self._problems.add(node.line, complaint)
        return spec

    def _tags(self, pairs: Mapping[str, Node]) -> tuple[str, ...]:
        if "tags" not in pairs:
            return ()
        node = pairs["tags"]
        if not isinstance(node.value, list):
            fields.wrong_type(node, "'tags' must be a list", self._problems)
            return ()
        found: set[str] = set()
        for item in node.value:
            tag = fields.name(item, "a tag", self._problems)
            if tag is None:
                continue
            if not _TAG.fullmatch(tag):
                message = f"tag {quoted(tag)} cannot be a marker: use letters, digits, '_' and '-', no digit first"
                self._problems.add(item.line, message)
            elif marker_name(tag) in _RESERVED_TAGS:
                self._problems.add(item.line, f"tag {tag!r} has a meaning of its own in pytest: choose another")
            elif tag in found:
                self._problems.add(item.line, f"duplicate tag {tag!r}")
            found.add(tag)
        return tuple(sorted(found))


def max_new_tokens(pairs: Mapping[str, Node], problems: Problems) -> int | None:
    """The limit that a case or the defaults set; None when they set none."""
    if "max_new_tokens" not in pairs:
        return None
    return fields.integer(pairs["max_new_tokens"], "'max_new_tokens'", problems, least=1, most=MOST_NEW_TOKENS)


def _role(node: Node, problems: Problems) -> Role | None:
    role = fields.text(node, "'role'", problems)
    for known in _ROLES:
        if role == known:
            return known
    if role is not None:
        problems.add(node.line, f"unknown role {quoted(role)}; {nearest(role[: fields.LONGEST_NAME], _ROLES)}")
    return None
