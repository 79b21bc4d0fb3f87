"""A golden as text that people review: a header, then one line for each case; equal goldens give equal bytes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases.model import digest_of

if TYPE_CHECKING:
    from pytest_quantgate.golden.model import Anchor, AnchoredAnswer, Entry, Golden

FORMAT: Final = "pytest-quantgate golden"
SCHEMA: Final = 1

_KEY_DIGITS: Final = 12
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

_HIDDEN: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What JSON leaves in and a reviewer does not see: control characters, marks that turn or hide text, line separators,
halves of surrogate pairs. A list of its own: which characters Python calls printable changes with its version."""


def encode(golden: Golden) -> str:
    """The text of a golden's file; its lines end as on Unix."""
    keys: dict[int, str] = {}  # by identity of the value: entries share a few anchors
    anchors: dict[str, Anchor] = {}
    lines = []
    for entry in sorted(golden.entries.values(), key=lambda each: each.id):
        key = keys.get(id(entry.anchor)) or keys.setdefault(id(entry.anchor), _key(entry.anchor))
        anchors.setdefault(key, entry.anchor)
        lines.append(line_of(_entry(entry, key)))
    by_date = sorted(anchors.items(), key=lambda item: (item[1].date, item[0]))
    header = {
        "format": FORMAT,
        "schema": SCHEMA,
        "slice": golden.slice,
        "variant": golden.variant,
        "anchors": {key: _anchor(anchor) for key, anchor in by_date},
    }
    return "".join([line_of(header), *lines])


def line_of(value: dict[str, Any]) -> str:
    """One JSON value as a line that hides nothing from whoever reviews it."""
    return f"{_HIDDEN.sub(_escaped, _ENCODER.encode(value))}\n"


def _key(anchor: Anchor) -> str:
    """What cases call their anchor: no number, since dropping one anchor must not change the lines of all others."""
    return digest_of(_anchor(anchor))[:_KEY_DIGITS]


def _anchor(anchor: Anchor) -> dict[str, Any]:
    return {
        "model": anchor.model,
        "identity": dict(sorted(anchor.identity.items())),
        "digest": anchor.digest,
        "date": anchor.date,
        "by": anchor.by,
        "command": anchor.command,
        "tool_version": anchor.tool_version,
    }


def _entry(entry: Entry, key: str) -> dict[str, Any]:
    value = {
        "id": entry.id,
        "prompt": entry.prompt,
        "checks": entry.checks,
        "results": [
            {"check": result.check, "followed": result.followed, "reason": result.reason} for result in entry.results
        ],
        "transition": entry.transition,
        "answers": list(map(_answer, entry.answers)),
        "anchor": key,
    }
    if entry.accepted is not None:
        value["accepted"] = entry.accepted
    return value


def _answer(answer: AnchoredAnswer) -> dict[str, Any]:
    value: dict[str, Any] = {"text": answer.text, "finish_reason": answer.finish_reason, "tokens": answer.tokens}
    if answer.recall:
        value["recall"] = [asdict(each) for each in answer.recall]
    return value


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]  # as ASCII, which takes two escapes for what lies beyond 16 bits
