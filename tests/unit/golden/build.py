"""Small goldens, shared by the tests of goldens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.golden.entries import entry_of
from pytest_quantgate.golden.model import Anchor, Entry, Golden
from pytest_quantgate.golden.store import golden_path
from pytest_quantgate.outcomes.model import Transition
from tests.unit.outcomes.build import case, outcome


def anchor(torch: str, date: str) -> Anchor:
    identity = {"spec": "nf4", "version:torch": torch, "weights": "0a" * 32}
    return Anchor(
        model="smollm2",
        identity=identity,
        digest=digest_of(identity),
        date=date,
        by="somebody",
        command="pytest --quant-ref fp16 --quant-cand nf4 --quant-reanchor new",
        tool_version="0.1.0",
    )


ANCHOR = anchor("2.13.0", "2026-01-02T03:04:05Z")
LATER = anchor("2.14.1", "2026-02-03T04:05:06Z")


def entry(
    case_id: str = "a", pattern: str = "+", *, text: str = "an answer", anchor: Anchor = ANCHOR, **more: Any
) -> Entry:
    """What is anchored of a case whose checks are followed (+), violated (-) or not scorable (?)."""
    transition = Transition.PRESERVED if set(pattern) == {"+"} else Transition.FAILING
    found = entry_of(
        case(case_id, len(pattern)), outcome(pattern, text=text), transition=transition, anchor=anchor, accepted=None
    )
    return replace(found, **more)


def golden(folder: Path, *entries: Entry, slice_name: str = "people", variant: str = "nf4") -> Golden:
    """A golden that is not written yet."""
    by_id = {each.id: each for each in entries}
    return Golden(slice_name, variant, golden_path(folder, slice_name, variant), by_id)
