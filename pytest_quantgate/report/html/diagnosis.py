"""What the page shows of each diagnosis: the verdict with its evidence, charts, and the same in figures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import Mode
from pytest_quantgate.report.diagnosis_sentences import (
    counted,
    domino,
    falls_at,
    looked_at,
    repair_command,
    repair_lines,
    standing,
    token,
)
from pytest_quantgate.report.diagnosis_sheets import (
    curves_sheet,
    evenly,
    grid_sheet,
    heading,
    limits,
    said,
    trials_sheet,
    values_sheet,
)
from pytest_quantgate.report.figures import number
from pytest_quantgate.report.html.diagnosis_charts import Profile, Tint, Try, frontier, heat, profiles
from pytest_quantgate.report.html.findings import Chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.diagnosis.measures import Measure
    from pytest_quantgate.diagnosis.model import Curve, Diagnosis, Grid, Place, Repair
    from pytest_quantgate.report.html.charts import Role
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.tables import Sheet

MOST_DRAWN: Final = 4
"""Diagnoses whose charts are drawn; a run with more has the others in tables alone."""

MOST_CHARTS: Final = 80
"""Charts, and tables, of one diagnosis: more than there are measures."""

MOST_POINTS: Final = 200
"""Points of one curve, and repairs of one frontier, that are drawn, evenly chosen."""

LARGEST: Final = 128
"""Rows and columns of a grid that is drawn; a larger one is in the run's JSON alone."""

_MOST_BITS: Final = 64.0
_LEAST: Final = 1e-3  # of the highest number in a heat map's title

_FIRST: Final = ("lens_probability", "lens_rank", "domino", "cka", "attention_divergence")
"""What is shown before the reader asks for more."""

_FIRST_PARTS: Final = ("", "layer", "attention")
"""Parts of these that are shown at once: CKA of attention is what the verdict goes by, that of layers its contrast."""

_AXES: Final = {
    "cka": "Down: layers of the reference. Across: layers of the candidate.",
    "attention_entropy": "Down: layers. Across: heads.",
    "attention_divergence": "Down: layers. Across: heads.",
    "patching": "Down: layers. Across: where the reference's state is put in.",
    "ablation": "Down: layers. Across: where the state is zeroed.",
}
_TINTS: Final[dict[Literal["high", "low", "same"], Tint]] = {"high": "pass", "low": "fail", "same": "ink"}
_ROLES: Final = {Mode.DEGRADATION: "doubt", Mode.COLLAPSE: "fail"}

Key = tuple[str, str, "Place"]
"""Measure, part and place."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row of the table of evidence: what was measured, both limits, and what it says."""

    name: str
    measured: str
    degradation: str
    collapse: str
    says: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """One diagnosis, as the template shows it.

    Attributes:
        diagnosis: The value.
        role: Colour of its verdict.
        sentences: What it looked at and found.
        evidence: Its criteria.
        repair: What the search for a repair came to; empty when none was made.
        command: The line that runs the recommended repair; None without one.
        first: The charts that are shown at once.
        more: The others.
        sheets: All figures.
    """

    diagnosis: Diagnosis
    role: str
    sentences: tuple[str, ...]
    evidence: tuple[Criterion, ...]
    repair: tuple[str, ...]
    command: str | None
    first: tuple[Chart, ...]
    more: tuple[Chart, ...]
    sheets: tuple[Sheet, ...]


def diagnoses(report: RunReport) -> list[Told]:
    """Every diagnosis of a run."""
    return [_told(report, each, drawn=place < MOST_DRAWN) for place, each in enumerate(report.diagnoses)]


def _told(report: RunReport, diagnosis: Diagnosis, *, drawn: bool) -> Told:
    charts = list(islice(_charts(diagnosis), MOST_CHARTS)) if drawn else []
    return Told(
        diagnosis=diagnosis,
        role=_ROLES.get(diagnosis.mode, "soft"),
        sentences=tuple(filter(None, (looked_at(diagnosis), token(diagnosis), domino(diagnosis), counted(diagnosis)))),
        evidence=tuple(
            Criterion(
                each.criterion, number(each.measured), *limits(each), said(each), _ROLES.get(each.says, "soft"),
                each.reason,
            )
            for each in diagnosis.evidence
        ),
        repair=tuple(repair_lines(diagnosis, report.base_command)),
        command=repair_command(report.base_command, diagnosis),
        first=tuple(chart for is_first, chart in charts if is_first),
        more=tuple(chart for is_first, chart in charts if not is_first),
        sheets=tuple(islice(_sheets(diagnosis), MOST_CHARTS)),
    )  # fmt: skip


def _charts(diagnosis: Diagnosis) -> Iterator[tuple[bool, Chart]]:
    """Every chart, and whether it is shown at once: the first measures, of degraded cases, where their answers part."""
    if diagnosis.repair is not None:
        yield True, _frontier(diagnosis.repair)
    for (measure, part, place), curves in _families(diagnosis).items():
        if (chart := _profile(measure, part, place, curves)) is not None:
            yield measure in _FIRST and measure != "cka" and place == "parting", chart
    for grid in sorted(diagnosis.grids, key=lambda each: _order(each.measure)):
        if (drawn := _heat(grid)) is not None:
            shown = grid.measure in _FIRST and grid.group == "degraded" and grid.place == "parting"
            yield shown and grid.part in _FIRST_PARTS, drawn


def _sheets(diagnosis: Diagnosis) -> Iterator[Sheet]:
    if diagnosis.values:
        yield values_sheet(diagnosis)
    if diagnosis.repair is not None:
        yield trials_sheet(diagnosis.repair)
    for (measure, part, _), curves in _families(diagnosis).items():
        yield curves_sheet(measure, part, curves)
    for grid in sorted(diagnosis.grids, key=lambda each: _order(each.measure)):
        if _small(grid):
            yield grid_sheet(grid)


def _families(diagnosis: Diagnosis) -> dict[Key, list[Curve]]:
    """The curves that belong together, in the order of the measures."""
    found: dict[Key, list[Curve]] = {}
    for curve in sorted(diagnosis.curves, key=lambda each: _order(each.measure)):
        found.setdefault((curve.measure, curve.part, curve.place), []).append(curve)
    return found


def _order(measure: str) -> tuple[int, int]:
    names = list(MEASURES)
    return (
        _FIRST.index(measure) if measure in _FIRST else len(_FIRST),
        names.index(measure) if measure in MEASURES else len(names),
    )


def _profile(measure: str, part: str, place: Place, curves: Sequence[Curve]) -> Chart | None:
    """Reference against candidate on degraded cases, or degraded cases against preserved ones."""
    lines = []
    for curve in curves:
        line = _line(curve, alone=all(each.side != "reference" for each in curves))
        if line is not None and any(value is not None for value in line.values):
            lines.append(line)
    if not lines:
        return None
    known = MEASURES.get(measure)
    values = [value for line in lines for value in line.values if value is not None]
    log = measure in ("lens_rank", "target_rank")
    ceiling = known.high if known is not None and known.better == "high" else None
    along = known.along if known is not None else ""
    title = _title(measure, part, place)
    svg = profiles(
        lines,
        title=f"{title}, by {along}" if along else title,
        along=along,
        floor=1.0 if log else min(0.0, *values),
        ceiling=ceiling,
        log=log,
    )
    under = falls_at(curves[0]) if measure == "domino" else None
    what = _ends(lines) if under is None else f"under half of the cases from {under} layers on"
    return Chart(f"{title}; {what}", svg, _says(known, curves[0].count))


def _line(curve: Curve, *, alone: bool) -> Profile | None:
    """A curve as it is drawn; None for one that is in the table only.

    Args:
        curve: The curve.
        alone: Whether no reference stands beside it, so that preserved cases do.
    """
    role: Role
    if curve.side == "reference":
        label, role = "reference", "pass"
    elif curve.group == "preserved":
        label, role = "preserved", "pass"
    else:
        label, role = ("degraded" if alone else "candidate"), "fail"
    if curve.group == "preserved" and not alone:
        return None
    places = evenly(range(len(curve.at)), MOST_POINTS)
    values = tuple(_drawable(curve.values[place]) for place in places)
    return Profile(label, tuple(curve.at[place] for place in places), values, role)


def _drawable(value: float | None) -> float | None:
    """A number that an axis can hold: what a file may say has no end."""
    return None if value is None or not isfinite(value) else min(max(value, -1e9), 1e9)


def _ends(lines: Sequence[Profile]) -> str:
    """What each curve comes to."""
    told = []
    for line in lines:
        last = [value for value in line.values if value is not None][-1]
        told.append(f"{line.label} {number(last)}")
    return f"at the end {', '.join(told)}"


def _title(measure: str, part: str, place: Place) -> str:
    return heading(measure, part) + (", at the subject" if place == "subject" else "")


def _says(known: Measure | None, count: int) -> str:
    cases = f"{count} case{'' if count == 1 else 's'}"
    if known is None:
        return f"{cases}."
    unit = f", in {known.unit}" if known.unit else ""
    return f"{known.says[:1].upper()}{known.says[1:]}{unit}; {cases}."


def _small(grid: Grid) -> bool:
    return 0 < len(grid.rows) <= LARGEST and 0 < len(grid.columns) <= LARGEST


def _heat(grid: Grid) -> Chart | None:
    known = MEASURES.get(grid.measure)
    values = [[_drawable(value) for value in row] for row in grid.values]
    found = [value for row in values for value in row if value is not None]
    if not found or not _small(grid):
        return None
    better = known.better if known is not None else "same"
    highest = known.high if known is not None and better == "same" else None  # one scale for both sides
    end = 1.0 if better == "high" else highest or max(*found, 0.001)
    whose = "" if grid.side == "both" else f"{grid.side}, "
    title = f"{_title(grid.measure, grid.part, grid.place)}, {whose}{grid.group} cases"
    svg = heat(values, grid.rows, grid.columns, title=f"{title}: {_span(found)}", end=end, tint=_TINTS[better])
    blank = " Small mark: undefined." if any(None in row for row in values) else ""
    note = f"{_AXES.get(grid.measure, '')} {_says(known, grid.count)}{blank}"
    return Chart(f"{title}: {_span(found)}", svg, note.strip())


def _span(found: Sequence[float]) -> str:
    """From the lowest to the highest; one of so little that no colour shows it is told as 0."""
    low, high = min(found), max(found)
    return f"{number(low if abs(low) >= _LEAST * abs(high) else 0)} to {number(high)}"


def _frontier(repair: Repair) -> Chart:
    """Bits against degraded cases that are turned back."""
    rows: list[Try] = [_try(repair.before.bits, 0, 1, "ink", "now")]
    rows += [
        _try(trial.bits, trial.turned_back, trial.degraded, "fail" if trial.lost else "ink")
        for trial in evenly(standing(repair), MOST_POINTS)
    ]
    title = "No repair is recommended"
    if (chosen := repair.chosen) is not None:
        rows.append(_try(chosen.bits, chosen.turned_back, chosen.degraded, "pass", "recommended"))
        title = f"{chosen.turned_back} of {chosen.degraded} degraded cases turned back at {chosen.bits:.2f} bits"
    note = (
        "Degraded cases that a trial turns back, as far as it got, by mean bits of a weight. Diamond: the recommended"
        " repair, verified. Cross: preserved cases are lost. Line: the best that so many bits do without losing any."
        " How each was chosen is in the table."
    )
    return Chart(f"Repair: {title}", frontier(rows, title=f"repairs by bits and cases turned back. {title}"), note)


def _try(bits: float, back: int, degraded: int, role: Role, label: str = "") -> Try:
    """A mark where an axis has room for it, whatever a file says."""
    return Try(min(max(bits, 0.0), _MOST_BITS), min(back / degraded, 1.0) if degraded else 0.0, role, label)
