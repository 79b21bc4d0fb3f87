"""The values of goldens: what a variant is anchored to, and how what it does now compares with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.generation.completion import FinishReason

REFERENCE: Final = "golden:"
"""Begins the spec of a reference that is not run: its answers are those that the variant behind it is anchored to."""

State = Literal["same", "reworded", "drifted", "new", "expired", "unused", "unscored"]
"""How a case stands to its golden.

``same``: same answer, same results. ``reworded``: another answer, same results. ``drifted``: other results. ``new``:
not anchored. ``expired``: its prompt or checks changed since. ``unused``: anchored, and no longer a case of the slice.
``unscored``: it could not be graded, now or when it was anchored, so nobody can tell.
"""


@dataclass(frozen=True, slots=True)
class Anchor:
    """When, by whom and from which run some cases of a golden were anchored.

    Attributes:
        model: The model, as the user of that run named it.
        identity: What identified the variant.
        digest: Digest of that identity.
        date: UTC, ISO 8601 to the second.
        by: Who ran it.
        command: The command that was run, as one shell line.
        tool_version: Version of pytest-quantgate.
    """

    model: str
    identity: Mapping[str, str]
    digest: str
    date: str
    by: str
    command: str
    tool_version: str


@dataclass(frozen=True, slots=True)
class AnchoredAnswer:
    """What a variant answered to one turn when it was anchored.

    Attributes:
        text: The answer.
        finish_reason: Why it ended.
        tokens: Number of its tokens; None when nobody counted them.
        recall: What was measured for the case's ``recall`` checks.
    """

    text: str
    finish_reason: FinishReason
    tokens: int | None
    recall: tuple[Recall, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One case as it was anchored.

    Attributes:
        id: The case's id.
        prompt: Digest of everything that was asked, later turns included.
        checks: Digest of the checks with their arguments.
        results: What each check said.
        answers: One for each turn.
        transition: How the case moved from the reference when it was anchored, as `outcomes.model.Transition` writes
            it; None for an anchor of the reference itself.
        anchor: When, by whom and from which run.
        accepted: Why it was anchored although it was degraded; None for all others.
    """

    id: str
    prompt: str
    checks: str
    results: tuple[CheckResult, ...]
    answers: tuple[AnchoredAnswer, ...]
    transition: str | None
    anchor: Anchor
    accepted: str | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """What one variant is anchored to on one slice.

    Attributes:
        slice: Name of the slice.
        variant: Canonical spec.
        path: The file.
        entries: By case id, sorted.
        digest: SHA-256 (hex) of the file's bytes, by which a change that came in between is seen; empty for a
            golden that is not written yet.
    """

    slice: str
    variant: str
    path: Path
    entries: Mapping[str, Entry] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Anchored:
    """What was anchored of a case that drifted since, so that it can be shown when the golden holds something else.

    Attributes:
        results: What each check said.
        answers: One for each turn, without what was measured for ``recall`` checks.
    """

    results: tuple[CheckResult, ...]
    answers: tuple[AnchoredAnswer, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one case stands to the golden of its slice and variant.

    Attributes:
        case_id: The case.
        state: How it stands.
        reason: One line for people: what changed; empty for ``same``.
        anchored: What was anchored of a case that drifted; None for all others, and in reports of releases that did
            not write it.
    """

    case_id: str
    state: State
    reason: str = ""
    anchored: Anchored | None = None
