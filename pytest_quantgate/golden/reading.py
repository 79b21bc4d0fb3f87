"""Reads the text of a golden, which anybody may have edited: every problem is told, none is a traceback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.json_lines import MOST_BAD, json_of
from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.cases.nodes import Node, TooDeepError, Unreadable, node_of
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.checks.measured import read_recall
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.errors import nearest
from pytest_quantgate.generation.completion import FinishReason
from pytest_quantgate.golden.encoding import FORMAT, SCHEMA
from pytest_quantgate.golden.lines import numbered_lines
from pytest_quantgate.golden.model import Anchor, AnchoredAnswer, Entry
from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_quantgate.cases.problems import Problems

T = TypeVar("T")

HEADER_KEYS: Final = ("format", "schema", "slice", "variant", "anchors")
ANCHOR_KEYS: Final = ("model", "identity", "digest", "date", "by", "command", "tool_version")
CASE_KEYS: Final = ("id", "prompt", "checks", "results", "transition", "answers", "anchor")
RESULT_KEYS: Final = ("check", "followed", "reason")
ANSWER_KEYS: Final = ("text", "finish_reason", "tokens")
TRANSITIONS: Final = tuple(each.value for each in Transition)
FINISH_REASONS: Final = tuple(reason for reason in get_args(FinishReason) if reason != "decided")
"""Of whole answers: nothing else is anchored."""
MOST_TOKENS: Final = 2**31 - 1

_NO_ANCHOR: Final = Anchor("", {}, "", "", "", "", "")  # what cannot be read is no golden in the end
_DATE: Final = re.compile(r"-?[0-9]{1,10}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_HINTS: Final = 20  # looking for the nearest name takes time


class GoldenReader:
    """Reads one golden. What cannot be read is a problem, and stands for nothing.

    Args:
        problems: Where everything that is wrong is noted.

    Attributes:
        slice: Name of the slice, as the header says.
        variant: Spec of the variant, as the header says.
        entries: By case id, in the file's order.
    """

    def __init__(self, problems: Problems) -> None:
        self.slice = ""
        self.variant = ""
        self.entries: dict[str, Entry] = {}
        self._problems = problems
        self._anchors: dict[str, Anchor] | None = None
        self._lines: dict[str, int] = {}
        self._line = 1

    def read(self, text: str) -> None:
        """Read a whole file."""
        has_header = False
        settle = (
            "settle it by keeping one of both lines for each case, and the anchors of both headers; or take one side"
            " whole and re-anchor"
        )
        for number, line in numbered_lines(text, self._problems, settle=settle):
            self._line = number
            value = json_of(line, number, self._problems)
            if has_header:
                if value is not Unreadable.VALUE:
                    self._entry(value)
            elif value is not Unreadable.VALUE and not self._header(value):
                return
            has_header = True

    def _header(self, value: object) -> bool:
        """Read the first line; whether the rest is worth reading."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            self._add(f'the first line is no header of a golden: it needs "format": "{FORMAT}"')
            return False
        schema = value.get("schema")
        if schema != SCHEMA or type(schema) is not int:
            what = f"schema {quoted(schema)}" if isinstance(schema, int | float | str) else "a header without schema"
            hint = "upgrade pytest-quantgate, or remove the file and anchor anew"
            self._add(f"{what} cannot be read here, only {SCHEMA}: {hint}")
            return False
        pairs = self._mapping(value, "the header", HEADER_KEYS)
        self.slice = self._name(pairs, "slice")
        self.variant = self._text(pairs, "variant", may_be_empty=False)
        anchors = self._pairs(pairs, "anchors")
        if anchors is not None:
            self._anchors = {key: self._anchor(key, each) for key, each in self._while_it_lasts(anchors.items())}
        return True

    def _anchor(self, key: str, value: object) -> Anchor:
        pairs = self._mapping(value, "an anchor", ANCHOR_KEYS)
        identity = self._pairs(pairs, "identity") or {}
        date = self._text(pairs, "date")
        if date and not _DATE.fullmatch(date):
            self._add(f"'date' must be like 2026-01-31T23:59:59Z, not {quoted(date)}")
        self._refuse_another_identity(key, pairs)
        return Anchor(
            model=self._text(pairs, "model"),
            identity={name: self._text(identity, name) for name in self._while_it_lasts(identity)},
            digest=self._text(pairs, "digest"),
            date=date,
            by=self._text(pairs, "by"),
            command=self._text(pairs, "command"),
            tool_version=self._text(pairs, "tool_version"),
        )

    def _refuse_another_identity(self, key: str, pairs: Mapping[str, Any]) -> None:
        """An identity that was edited by hand would speak for a variant that never gave these answers."""
        identity, digest = pairs.get("identity"), pairs.get("digest")
        if not isinstance(digest, str) or not isinstance(identity, dict):
            return  # which is told
        if not all(isinstance(each, str) for each in identity.values()):
            return
        if digest_of(identity) != digest:
            self._add(
                f"the identity of the anchor {quoted(key)} is not the one that its digest was made of: one of both was"
                " edited; take the file back from version control, or remove it and anchor anew"
            )

    def _entry(self, value: object) -> None:
        pairs = self._mapping(value, "a case", CASE_KEYS, ("accepted",))
        case_id = self._name(pairs, "id")
        if not case_id:
            return
        if case_id in self._lines:
            self._add(f"duplicate id {quoted(case_id)} (first on line {self._lines[case_id]})")
            return
        self._lines[case_id] = self._line
        self.entries[case_id] = Entry(
            id=case_id,
            prompt=self._digest(pairs, "prompt"),
            checks=self._digest(pairs, "checks"),
            results=tuple([self._result(each) for each in self._items(pairs, "results")]),
            answers=tuple([self._answer(each) for each in self._items(pairs, "answers")]),
            transition=None if pairs.get("transition") is None else self._choice(pairs, "transition", TRANSITIONS),
            anchor=self._anchor_of(pairs),
            accepted=self._text(pairs, "accepted", may_be_empty=False) if "accepted" in pairs else None,
        )

    def _anchor_of(self, pairs: Mapping[str, Any]) -> Anchor:
        key = self._text(pairs, "anchor")
        anchors = self._anchors or {}
        if key not in anchors and "anchor" in pairs and self._anchors is not None:  # else the header's own problem
            shown = [name for name in anchors if name.isprintable() and len(name) <= fields.LONGEST_NAME]
            hint = f"; {nearest(key[: fields.LONGEST_NAME], shown[:_MOST_HINTS])}" if shown else ""
            self._add(f"the header has no anchor {quoted(key)}{hint}")
        return anchors.get(key, _NO_ANCHOR)

    def _result(self, value: object) -> CheckResult:
        pairs = self._mapping(value, "a result", RESULT_KEYS)
        followed = pairs.get("followed")
        if followed is not None and not isinstance(followed, bool):
            self._wrong("'followed' must be true, false or null", followed)
        return CheckResult(self._text(pairs, "check", may_be_empty=False), followed, self._text(pairs, "reason"))

    def _answer(self, value: object) -> AnchoredAnswer:
        pairs = self._mapping(value, "an answer", ANSWER_KEYS, ("recall",))
        tokens = pairs.get("tokens")
        if tokens is not None:
            tokens = fields.integer(self._node(tokens), "'tokens'", self._problems, least=0, most=MOST_TOKENS)
        return AnchoredAnswer(
            text=self._text(pairs, "text"),
            finish_reason=cast("FinishReason", self._choice(pairs, "finish_reason", FINISH_REASONS)),
            tokens=tokens,
            recall=self._recall(pairs["recall"]) if "recall" in pairs else (),
        )

    def _recall(self, value: object) -> tuple[Recall, ...]:
        try:
            return read_recall(node_of(value, self._line), self._problems)
        except TooDeepError:
            self._add("'recall' is not as a run report writes it: it is nested too deep")
            return ()

    def _mapping(
        self, value: object, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> Mapping[str, Any]:
        """An object of which the keys are known, without those that are not."""
        if not isinstance(value, dict):
            self._wrong(f"{what} must be a mapping", value)
            return {}
        if tuple(value) == required:  # nearly always
            return value
        pairs = {key: self._node(None) for key in value}
        known = fields.mapping(
            Node(pairs, self._line), what, self._problems, known=(*required, *optional), required=required
        )
        return {key: value[key] for key in known or ()}

    def _pairs(self, pairs: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
        """An object with any keys."""
        value = pairs.get(key)
        if isinstance(value, dict):
            return value
        if key in pairs:
            self._wrong(f"{key!r} must be a mapping", value)
        return None

    def _name(self, pairs: Mapping[str, Any], key: str) -> str:
        """Text that can stand in a node id."""
        return fields.name(self._node(pairs[key]), f"{key!r}", self._problems) or "" if key in pairs else ""

    def _text(self, pairs: Mapping[str, Any], key: str, *, may_be_empty: bool = True) -> str:
        """Any text: an answer may hold whatever a model can write, half of a surrogate pair included."""
        value = pairs.get(key)
        if isinstance(value, str):
            if not value and not may_be_empty:
                self._add(f"{quoted(key)} must not be empty")
            return value
        if key in pairs:
            self._wrong(f"{quoted(key)} must be text", value)
        return ""

    def _digest(self, pairs: Mapping[str, Any], key: str) -> str:
        value = self._text(pairs, key)
        if isinstance(pairs.get(key), str) and not _DIGEST.fullmatch(value):
            self._add(f"{key!r} must be a digest of 64 hexadecimal digits")
        return value

    def _choice(self, pairs: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
        value = self._text(pairs, key)
        if value not in known and isinstance(pairs.get(key), str):
            fields.unknown(self._node(value), key, value, self._problems, known=known)
        return value

    def _items(self, pairs: Mapping[str, Any], key: str) -> Iterator[object]:
        """The items of a list that must have some."""
        items = pairs.get(key)
        if not isinstance(items, list):
            if key in pairs:
                self._wrong(f"{key!r} must be a list", items)
            return iter(())
        if not items:
            self._add(f"{key!r} must not be empty")
        return self._while_it_lasts(items)

    def _while_it_lasts(self, items: Iterable[T]) -> Iterator[T]:
        """Items until so much is wrong that the file is given up: a hostile one must not fill the memory."""
        for item in items:
            if len(self._problems) >= MOST_BAD:
                return
            yield item

    def _wrong(self, wanted: str, value: object) -> None:
        fields.wrong_type(self._node(value), wanted, self._problems)

    def _node(self, value: Any) -> Node:
        """A value for the functions of ``cases.fields``, which look at most at its type; all of it is on one line."""
        return Node(value, self._line)

    def _add(self, message: str) -> None:
        self._problems.add(self._line, message)
