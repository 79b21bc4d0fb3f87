"""What a diagnosis found, as frozen values that a report holds; no torch.

Everything that was measured has one of three shapes: a ``Value``, a ``Curve`` or a ``Grid``, named by a measure of
``diagnosis.measures``. So a report can write, read and draw whatever is measured without knowing each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from pytest_quantgate.gate.model import Verdict

Group = Literal["degraded", "preserved"]
"""Which cases were averaged: those that broke, or as many that did not, as contrast."""

Side = Literal["reference", "candidate", "both"]
"""Whose activations: one variant's, or one compared with the other."""

Place = Literal["parting", "subject", "answer"]
"""Where: the position whose next token is the first to differ, the last token of the subject, the whole answer."""

Stage = Literal["screened", "decoded", "verified"]
"""How far a trial got: tokens along known answers; answers decoded and graded; gates of a variant loaded afresh."""

NO_VARIANT: Final = "(no variant does so)"
"""Ends the ``way`` of a trial that no spec expresses: its spec is that of what it builds on."""


class Mode(Enum):
    """How a candidate fails (Zhou et al., From Signal Degradation to Computation Collapse, section 3.4)."""

    DEGRADATION = "signal degradation"
    """Computation is intact and precision is lost; protecting a few parts can repair it."""
    COLLAPSE = "computation collapse"
    """Components no longer work; protection does not help, only training does."""
    MIXED = "mixed"
    """The evidence is divided."""
    INCONCLUSIVE = "inconclusive"
    """Too little could be measured."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number.

    Attributes:
        measure: Key of ``measures.MEASURES``.
        group: Whose mean (or median, as the measure says) it is.
        side: Whose.
        place: Where.
        value: None where it is undefined.
        count: Cases that it rests on.
        part: Which of several, such as ``down_proj``; empty for the whole.
    """

    measure: str
    group: Group
    side: Side
    place: Place
    value: float | None
    count: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Numbers along layers, or along the steps of an answer.

    Attributes:
        measure: Key of ``measures.MEASURES``.
        group: As for ``Value``.
        side: Whose.
        place: Where.
        at: What each value stands at: a layer, or a number of tokens; ascending.
        values: As many; None where undefined.
        count: Cases that it rests on.
        part: Which of several, such as ``attention``; empty for the whole.
    """

    measure: str
    group: Group
    side: Side
    place: Place
    at: tuple[int, ...]
    values: tuple[float | None, ...]
    count: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers over two things, such as layers of the one variant and of the other.

    Attributes:
        measure: Key of ``measures.MEASURES``.
        group: As for ``Value``.
        side: Whose.
        place: Where.
        rows: Names of the rows, such as layers.
        columns: Names of the columns, such as heads.
        values: A row each; None where undefined.
        count: Cases that it rests on.
        part: Which of several; empty for the whole.
    """

    measure: str
    group: Group
    side: Side
    place: Place
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    count: int
    part: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One criterion of the verdict, applied.

    Attributes:
        criterion: What was looked at, one line.
        measured: The number; None where it could not be measured.
        degradation: The number's limit on the side of signal degradation.
        collapse: Its limit on the side of computation collapse; between the two it says neither.
        says: What it speaks for; INCONCLUSIVE where nothing was measured, MIXED between the limits.
        reason: One sentence with the number in it, or why there is none.
    """

    criterion: str
    measured: float | None
    degradation: float
    collapse: float
    says: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The cases that were looked at.

    Attributes:
        degraded: Ids of those that broke.
        preserved: Ids of as many that pass with both variants, as contrast.
        left_out: Degraded cases that were not looked at: how many for each reason.
        causal: Ids of those that the causal tests were made on.
        tokens: Tokens of all prompts together, each up to where the answers part.
    """

    degraded: tuple[str, ...]
    preserved: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    causal: tuple[str, ...] = ()
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to keep some modules in higher precision, and what it came to.

    Attributes:
        spec: The variant that does so.
        kept: What is kept, as ``skip=`` and a mix name modules.
        bits: Mean bits of a weight over all linear layers but the output head, scales included.
        memory_bytes: All weights as stored; None where that is not known.
        turned_back: Degraded cases that pass again.
        degraded: Of so many.
        lost: Preserved cases that fail now.
        preserved: Of so many.
        stage: How far it got.
        way: How it was chosen, such as ``early layers``.
    """

    spec: str
    kept: tuple[str, ...]
    bits: float
    memory_bytes: int | None
    turned_back: int
    degraded: int
    lost: int
    preserved: int
    stage: Stage
    way: str

    @property
    def net(self) -> int:
        """Cases won, less those lost."""
        return self.turned_back - self.lost

    @property
    def merit(self) -> tuple[int, float]:
        """More is better: cases won less those lost, then fewer bits."""
        return self.net, -self.bits


@dataclass(frozen=True, slots=True)
class Repair:
    """What the search for a repair came to.

    Attributes:
        before: The candidate as it is.
        trials: Everything that was tried, in order.
        chosen: The repair that is recommended, verified on a variant loaded afresh; None when there is none.
        verdicts: Of the gates of the chosen repair, by slice; empty when there is none.
        reason: Why there is none, or what the recommended one rests on: one sentence.
    """

    before: Trial
    trials: tuple[Trial, ...]
    chosen: Trial | None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why one slice broke on one candidate.

    Attributes:
        slice: Name of the slice.
        reference: Spec of the trusted variant.
        candidate: Spec of the one that broke.
        mode: The verdict.
        evidence: What it rests on.
        sample: The cases.
        values: Numbers.
        curves: Curves.
        grids: Grids.
        repair: What the search found; None when none was made.
        notes: What could not be measured, and why: one line each.
    """

    slice: str
    reference: str
    candidate: str
    mode: Mode
    evidence: tuple[Evidence, ...]
    sample: Sample
    values: tuple[Value, ...] = ()
    curves: tuple[Curve, ...] = ()
    grids: tuple[Grid, ...] = ()
    repair: Repair | None = None
    notes: tuple[str, ...] = ()
