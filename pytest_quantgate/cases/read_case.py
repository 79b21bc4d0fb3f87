"""Reads one case, whether a slice file, a line of JSON or a generator wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.model import DRIFT_ID, GATE_ID, Case, CheckSpec, Location, Message, Turn
from pytest_quantgate.cases.nodes import Node, plain
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.cases.read_messages import read_messages, with_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.catalog import CheckCatalog
    from pytest_quantgate.cases.problems import Problems

CASE_KEYS: Final = (
    *("id", "prompt", "messages", "turns", "system", "checks"),
    *("answer_prefix", "subject", "max_new_tokens", "tags", "cluster"),
)
TURN_KEYS: Final = ("prompt", "checks", "max_new_tokens")
MOST_NEW_TOKENS: Final = 32_768
MOST_TURNS: Final = 32

_TAKEN: Final = {GATE_ID: "the slice's gate result", DRIFT_ID: "the result of the slice's drift gate"}
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
        in_turns = isinstance(node.value, dict) and "turns" in node.value
        required = ("id",) if in_turns else ("id", "checks")
        pairs = fields.mapping(node, "a case", problems, known=CASE_KEYS, required=required)
        if pairs is None:
            return None
        case_id = self._id(pairs)
        limit = max_new_tokens(pairs, problems) or self._max_new_tokens
        first, *later = self._turns(pairs, limit) if in_turns else (Turn("", self._checks(pairs), limit),)
        read = len(problems)
        messages = self._messages(pairs, node.line, first if in_turns else None)
        prefix = ""
        if "answer_prefix" in pairs:
            prefix = fields.text(pairs["answer_prefix"], "'answer_prefix'", problems) or ""
        unread = len(problems) > read or not messages
        subject = self._subject(pairs, None if unread else (messages[-1].content, prefix))
        tags = self._tags(pairs)
        cluster = fields.name(pairs["cluster"], "'cluster'", problems) if "cluster" in pairs else None
        if len(problems) > before or case_id is None:
            return None
        return Case(
            id=case_id,
            messages=messages,
            checks=first.checks,
            max_new_tokens=first.max_new_tokens,
            tags=tags,
            cluster=cluster,
            location=Location(problems.path, node.line),
            answer_prefix=prefix,
            subject=subject,
            later=tuple(later),
        )

    def _messages(self, pairs: Mapping[str, Node], line: int, first: Turn | None) -> tuple[Message, ...]:
        messages = [Message("user", first.prompt)] if first else read_messages(pairs, line, self._problems)
        return with_system(messages, pairs, self._problems, default=self._system)

    def _turns(self, pairs: Mapping[str, Node], limit: int) -> list[Turn]:
        """At least one turn; to throw away when there are problems."""
        problems = self._problems
        for key in ("prompt", "messages", "checks", "answer_prefix", "subject"):
            if key in pairs:
                problems.add(pairs[key].line, f"a case has {key!r} or 'turns', not both")
        nodes = fields.items(pairs["turns"], "'turns'", problems) or []
        if len(nodes) > MOST_TURNS:
            problems.add(pairs["turns"].line, f"'turns' holds {len(nodes)} turns; at most {MOST_TURNS} are allowed")
        return [self._turn(node, limit) for node in nodes[:MOST_TURNS]] or [Turn("", (), limit)]

    def _turn(self, node: Node, limit: int) -> Turn:
        problems = self._problems
        pairs = fields.mapping(node, "a turn", problems, known=TURN_KEYS, required=("prompt", "checks")) or {}
        prompt = fields.text(pairs["prompt"], "'prompt'", problems) if "prompt" in pairs else None
        return Turn(prompt or "", self._checks(pairs), max_new_tokens(pairs, problems) or limit)

    def _subject(self, pairs: Mapping[str, Node], texts: Sequence[str] | None) -> str:
        """The subject, which stands in one of the texts; None when they could not be read, and nobody can tell."""
        if "subject" not in pairs or "turns" in pairs:
            return ""
        subject = fields.text(pairs["subject"], "'subject'", self._problems)
        if subject and texts is not None and not any(subject in text for text in texts):
            message = f"subject {quoted(subject)} stands neither in the prompt nor in 'answer_prefix'"
            self._problems.add(pairs["subject"].line, message)
        return subject or ""

    def _id(self, pairs: Mapping[str, Node]) -> str | None:
        if "id" not in pairs:
            return None
        node = pairs["id"]
        case_id = fields.name(node, "'id'", self._problems)
        if case_id is None:
            return None
        if case_id in _TAKEN:
            self._problems.add(node.line, f"id {quoted(case_id)} is taken: it names {_TAKEN[case_id]}")
        if case_id in self._first_lines:
            first = self._first_lines[case_id]
            self._problems.add(node.line, f"duplicate id {quoted(case_id)} (first on line {first})")
        else:
            self._first_lines[case_id] = node.line
        return case_id

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
    return fields.integer_of(pairs, "max_new_tokens", problems, least=1, most=MOST_NEW_TOKENS)
