"""The verdict on how a candidate fails, from what was measured of its degraded cases; pure, no torch.

Which numbers tell the two ways of failing apart is Zhou et al.'s, *From Signal Degradation to Computation Collapse*.
They give no limits: these are round numbers, chosen from what they say of 4 and 2 bits. Which numbers became criteria
was settled with the known cases of benchmarks/two_failure_modes.py in view; docs/failure-modes.md shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite
from statistics import fmean
from typing import Final

from pytest_quantgate.diagnosis.model import Curve, Evidence, Grid, Mode, Side, Value
from pytest_quantgate.gate.wording import given, measured

FEWEST: Final = 4
"""Measured criteria that a verdict needs; fewer are no pattern."""

FEWEST_CASES: Final = 3
"""Degraded cases that a number must rest on to be a criterion; fewer are anecdotes."""

SHARE: Final = Fraction(2, 3)
"""Of the measured criteria, so many must speak for one mode; one between its limits counts half for either."""

FIRST_LAYERS: Final = 2
"""Quantized layers behind which the first domino is looked at (section 4.3.2, table 2)."""

_DIGITS: Final = 2
_NOTHING: Final = f"it was not measured on at least {FEWEST_CASES} degraded cases, or is undefined"
_HERE: Final = "parting"  # column of a grid of causal tests: the token at which the answers part


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of at least ``FEWEST_CASES`` degraded cases where the answers part, found by name.

    Attributes:
        values: Numbers of a diagnosis.
        curves: Its curves.
        grids: Its grids.
    """

    values: Sequence[Value]
    curves: Sequence[Curve]
    grids: Sequence[Grid]

    def value(self, measure: str) -> float | None:
        """A number of the candidate."""
        found = (each.value for each in self.values if _is_it(each, measure, "candidate"))
        return next(iter(_defined(found)), None)

    def points(self, measure: str, side: Side = "both", part: str = "") -> list[tuple[int, float]]:
        """The defined points of a curve, each with where it stands; none where there is no such curve."""
        for curve in self.curves:
            if _is_it(curve, measure, side, part):
                pairs = zip(curve.at, curve.values, strict=True)
                return [(at, value) for at, value in pairs if value is not None and isfinite(value)]
        return []

    def mean(self, measure: str) -> float | None:
        """Mean over all layers."""
        return _mean(value for _, value in self.points(measure))

    def late(self, measure: str, side: Side = "both", part: str = "") -> float | None:
        """Mean over the second half of the layers, where damage has added up."""
        points = self.points(measure, side, part)
        return _mean(value for at, value in points if 2 * at >= points[-1][0])

    def halfway(self, measure: str, part: str) -> float | None:
        """The cell of a grid over layers at the last one of their first half, where the answers part."""
        grid = next((grid for grid in self.grids if _is_it(grid, measure, "candidate", part)), None)
        if grid is None or _HERE not in grid.columns:
            return None
        layers, column = [int(row) for row in grid.rows], grid.columns.index(_HERE)
        early = [row[column] for layer, row in zip(layers, grid.values, strict=True) if 2 * layer < layers[-1]]
        return next(iter(_defined(early[-1:])), None)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One number, and what it tells.

    Attributes:
        name: For people.
        read: Finds the number; None where it is undefined.
        says: Sentence about the number, with a place for it.
        degradation: Limit on the side of signal degradation, itself included; which side that is follows from
            ``collapse``.
        collapse: Limit on the side of computation collapse, itself included.
        section: Of the paper, which has the same number.
        falls: Sentence about a number below 0 whose size counts, with a place for it; empty where the sign counts.
    """

    name: str
    read: Callable[[Seen], float | None]
    says: str
    degradation: float
    collapse: float
    section: str
    falls: str = ""

    def judged(self, seen: Seen) -> Evidence:
        """The criterion, applied."""
        number = self.read(seen)
        if number is None:
            return self._evidence(None, Mode.INCONCLUSIVE, _NOTHING)
        if self.falls and number < 0:
            return replace(self, says=self.falls, read=lambda _: -number).judged(seen)
        lower, upper = Mode.DEGRADATION, Mode.COLLAPSE
        low, high = self.degradation, self.collapse
        if low > high:
            (lower, low), (upper, high) = (upper, high), (lower, low)
        if number <= low:
            return self._told(number, lower, low, f"{lower.value} (at most {given(low, 0)})")
        if number >= high:
            return self._told(number, upper, high, f"{upper.value} (at least {given(high, 0)})")
        near = min(low, high, key=lambda limit: abs(number - limit))
        return self._told(number, Mode.MIXED, near, f"between {given(low, 0)} and {given(high, 0)}, neither")

    def _told(self, number: float, mode: Mode, limit: float, verdict: str) -> Evidence:
        said = self.says.format(measured(number, _DIGITS, limit=limit))
        return self._evidence(number, mode, f"{said}: {verdict}")

    def _evidence(self, number: float | None, mode: Mode, reason: str) -> Evidence:
        return Evidence(self.name, number, self.degradation, self.collapse, mode, reason)


def classify(
    values: Sequence[Value], curves: Sequence[Curve], grids: Sequence[Grid]
) -> tuple[Mode, tuple[Evidence, ...]]:
    """Tell signal degradation from computation collapse.

    Every criterion of ``CRITERIA`` is applied to the degraded cases. A mode is the verdict when at least ``SHARE`` of
    the measured criteria speak for it, where one between its limits counts half for either side; else the verdict
    is mixed. With fewer than ``FEWEST`` measured criteria it is inconclusive, whatever they say; a number that rests on
    fewer than ``FEWEST_CASES`` cases is none.

    Args:
        values: Numbers of a diagnosis; others than the criteria's are passed over.
        curves: Its curves.
        grids: Its grids.

    Returns:
        The verdict, and each criterion as it was applied, in their order.
    """
    seen = Seen(values, curves, grids)
    evidence = tuple(criterion.judged(seen) for criterion in CRITERIA)
    return _verdict([each.says for each in evidence if each.measured is not None]), evidence


def _verdict(said: Sequence[Mode]) -> Mode:
    if len(said) < FEWEST:
        return Mode.INCONCLUSIVE
    for mode in (Mode.DEGRADATION, Mode.COLLAPSE):
        if said.count(mode) + Fraction(said.count(Mode.MIXED), 2) >= SHARE * len(said):
            return mode
    return Mode.MIXED


def _peak_of_lens(seen: Seen) -> float | None:
    peaks = [
        max((value for _, value in seen.points("lens_probability", side)), default=0.0)
        for side in ("reference", "candidate")
    ]
    return peaks[1] / peaks[0] if peaks[0] > 0 and seen.points("lens_probability", "candidate") else None


def _change_of_focus(seen: Seen) -> float | None:
    before, after = (seen.late("attention_entropy", side) for side in ("reference", "candidate"))
    return None if before is None or after is None else after - before


def _first_domino(seen: Seen) -> float | None:
    behind = (value for at, value in seen.points("domino", "candidate") if at >= FIRST_LAYERS)
    return next(behind, None)


CRITERIA: Final[tuple[Criterion, ...]] = (
    Criterion(
        "rank of the reference's token",
        lambda seen: seen.value("target_rank"),
        "the median rank of the reference's token is {}",
        *(10, 100),
        "3.2",
    ),
    Criterion(
        "peak of the logit lens",
        _peak_of_lens,
        "the token's highest probability at any layer is {} of the reference's",
        *(0.2, 0.02),
        "3.3",
    ),
    Criterion(
        "change of attention entropy",
        _change_of_focus,
        "normalized attention entropy in the second half of the layers is {} above the reference's",
        *(0.05, 0.2),
        "4.1.1",
        falls="normalized attention entropy in the second half of the layers is {} below the reference's",
    ),
    Criterion(
        "attention divergence",
        lambda seen: seen.mean("attention_divergence"),
        "attention diverges from the reference's by {} bits",
        *(0.1, 0.3),
        "4.1.1",
    ),
    Criterion(
        "gate sign flips",
        lambda seen: seen.mean("gate_sign_flips"),
        "{} of the feed-forward gates change their sign",
        *(0.15, 0.3),
        "4.1.2",
    ),
    Criterion(
        "top neurons in common",
        lambda seen: seen.mean("neuron_overlap"),
        "the most activated neurons overlap by {}",
        *(0.4, 0.15),
        "4.1.2",
    ),
    Criterion(
        "cosine of feed-forward outputs",
        lambda seen: seen.mean("feed_forward_cosine"),
        "feed-forward outputs have a cosine of {} with the reference's",
        *(0.8, 0.4),
        "4.1.2",
    ),
    Criterion(
        "CKA of attention",
        lambda seen: seen.late("cka", part="attention"),
        "attention outputs in the second half of the layers have a CKA of {} with the reference's",
        *(0.8, 0.4),
        "4.2.1, B.2",
    ),
    Criterion(
        "principal subspaces in common",
        lambda seen: seen.mean("subspace_similarity"),
        "principal subspaces overlap by {} with the reference's",
        *(0.7, 0.3),
        "4.2.2",
    ),
    Criterion(
        "turned back by patching half-way",
        lambda seen: seen.halfway("patching", "turned"),
        "the reference's state where the answers part, put in half-way through the layers, turns back {} of the cases",
        *(0.5, 0.1),
        "3.4",
    ),
    Criterion(
        "first domino",
        _first_domino,
        f"with the first {FIRST_LAYERS} layers quantized, {{}} of the cases keep their next token",
        *(0.5, 0.2),
        "4.3.2",
    ),
)
"""Each with its limits: degradation, collapse.

Attention entropy counts by the size of its change: the paper sees it rise, and in some broken models it falls. Patching
is read at one layer and one place, since the best of many is high by chance.

Three numbers near those of the paper are left out, since damage does not move them one way. The overlap of the error
with the signal's directions is 1 when activations vanish, 1/2 when they have nothing to do with the reference's, and
chance when they are much larger besides. CKA of the residual stream stays high, for that carries the embedding along
(B.2). The margin that patching restores is large where it makes a broken model less sure of its own answer, and no
better.
"""


def _is_it(each: Value | Curve | Grid, measure: str, side: Side, part: str = "") -> bool:
    named = (each.measure, each.group, each.side, each.place, each.part)
    return named == (measure, "degraded", side, "parting", part) and each.count >= FEWEST_CASES


def _defined(numbers: Iterable[float | None]) -> list[float]:
    return [number for number in numbers if number is not None and isfinite(number)]


def _mean(numbers: Iterable[float]) -> float | None:
    found = list(numbers)
    return fmean(found) if found else None
