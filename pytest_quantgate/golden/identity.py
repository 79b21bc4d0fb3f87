"""What of a variant's identity is other than when it was anchored, told for people."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.finding import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.golden.model import Golden

VERSION: Final = "version:"
"""What the fields of an identity begin with that hold versions of libraries."""

FIELDS: Final = {
    "weights": "weights",
    "config": "model configuration",
    "tokenizer": "tokenizer",
    "chat_template": "chat template",
    "generation_config": "generation settings",
    "spec": "spec",
    "backend": "backend",
    "backend_files": "files of the backend",
    "compute_dtype": "compute dtype",
    "kernels": "kernels",
    "device": "device",
    "schedule": "schedule",
    "engine": "decoding of pytest-quantgate",
    "tensor_parallel": "devices that the model is spread over",
    "environment": "environment variables of vLLM",
    "date": "date in the chat template",
}
"""What people call the fields of an identity, the weightiest first; libraries follow, then what nobody knows here."""

MOST: Final = 50
"""Lines that are told of one golden, which may hold anything."""

_NOTHING: Final = "none"
_LONGEST: Final = 60  # characters of a value that are shown
_DIGEST: Final = re.compile(r"[0-9a-f]{40,64}")
_DIGEST_SHOWN: Final = 12


def identity_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each field of an identity that differs, the weightiest first.

    Args:
        before: The identity when the variant was anchored; untrusted.
        after: The identity now.
    """
    return _first([_line(key, before.get(key), after.get(key)) for key in _differing(before, after)])


def changes_since(golden: Golden, identity: Mapping[str, str]) -> tuple[str, ...]:
    """The same for a whole golden; a line that does not hold for all of its cases says for how many it does.

    Args:
        golden: The golden.
        identity: The identity of its variant now.
    """
    sizes = Counter(id(entry.anchor) for entry in golden.entries.values())
    anchors = {id(entry.anchor): entry.anchor for entry in golden.entries.values()}
    found: Counter[tuple[str, str | None]] = Counter()
    for which, anchor in anchors.items():
        for key in _differing(anchor.identity, identity):
            found[key, anchor.identity.get(key)] += sizes[which]
    total = len(golden.entries)
    lines = []
    for key, before in sorted(found, key=lambda each: (_rank(each[0]), each[1] or "")):
        held = found[key, before]
        part = "" if held == total else f" ({held} of {total} cases)"
        lines.append(f"{_line(key, before, identity.get(key))}{part}")
    return _first(lines)


def _first(lines: Sequence[str]) -> tuple[str, ...]:
    rest = len(lines) - MOST
    return (*lines[:MOST], f"... and {rest:,} more") if rest > 0 else tuple(lines)


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted((key for key in before.keys() | after.keys() if before.get(key) != after.get(key)), key=_rank)


def _rank(key: str) -> tuple[int, str]:
    order = [*FIELDS, VERSION]
    known = VERSION if key.startswith(VERSION) else key
    return order.index(known) if known in order else len(order), key


def _line(key: str, before: str | None, after: str | None) -> str:
    title = f"library {key.removeprefix(VERSION)}" if key.startswith(VERSION) else FIELDS.get(key, key)
    return f"{one_line(title, _LONGEST)}: {_shown(before)} → {_shown(after)}"


def _shown(value: str | None) -> str:
    if value is None:
        return _NOTHING
    return value[:_DIGEST_SHOWN] if _DIGEST.fullmatch(value) else one_line(value, _LONGEST)
