"""What a diagnosis measured, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import Mode
from pytest_quantgate.plural import counted
from pytest_quantgate.report.diagnosis_sentences import kept, title_of
from pytest_quantgate.report.figures import UNDEFINED, megabytes, number
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.diagnosis.model import Curve, Diagnosis, Evidence, Grid, Group, Repair, Side, Trial, Value
    from pytest_quantgate.report.tables import Line

T = TypeVar("T")

MOST_ROWS: Final = 200
"""Rows of one table; a longer one has so many of them, evenly chosen."""

_COLUMNS: Final[tuple[tuple[Group, Side], ...]] = (
    ("degraded", "reference"),
    ("degraded", "candidate"),
    ("degraded", "both"),
    ("preserved", "reference"),
    ("preserved", "candidate"),
    ("preserved", "both"),
)
_SCREENED: Final = (
    "Screened: next tokens along known answers. Of peak-signal amplification it is the first one alone; low-rank "
    "compensation was fitted on the preserved cases that it may lose."
)
_DECODED: Final = "Decoded: answers made and graded."
_SIDES: Final[dict[Side, str]] = {"reference": "\nreference", "candidate": "\ncandidate", "both": ""}


def evidence_sheet(diagnosis: Diagnosis) -> Sheet:
    """Every criterion of the verdict, with its limits."""
    return Sheet(
        title=("evidence",),
        headings=("criterion", "measured", "signal\ndegradation", "computation\ncollapse", "says"),
        rows=tuple(
            (Name(each.criterion), number(each.measured), *limits(each), said(each)) for each in diagnosis.evidence
        ),
        words=True,
    )


def said(evidence: Evidence) -> str:
    """The mode that a criterion speaks for; only a whole verdict is mixed."""
    return "neither" if evidence.says is Mode.MIXED else evidence.says.value


def limits(evidence: Evidence) -> tuple[str, str]:
    """A criterion's limits of degradation and collapse, each with the side on which it holds."""
    below = evidence.degradation < evidence.collapse
    return (
        f"{'at most' if below else 'at least'} {number(evidence.degradation)}",
        f"{'at least' if below else 'at most'} {number(evidence.collapse)}",
    )


def values_sheet(diagnosis: Diagnosis) -> Sheet:
    """All single numbers: a row for each measure, part and place."""
    found: dict[tuple[str, str, str], dict[tuple[Group, Side], Value]] = {}
    for each in diagnosis.values:
        found.setdefault((each.measure, each.part, each.place), {})[each.group, each.side] = each
    columns = [key for key in _COLUMNS if any(key in row for row in found.values())]
    return Sheet(
        title=("numbers",),
        headings=("measure", *map(_column, columns), "cases", "place"),
        rows=tuple(
            (
                Name(heading(measure, part)),
                *(number(row[key].value) if key in row else UNDEFINED for key in columns),
                str(max(each.count for each in row.values())),
                place,
            )
            for (measure, part, place), row in list(found.items())[:MOST_ROWS]
        ),
        words=True,
    )


def curves_sheet(measure: str, part: str, curves: Sequence[Curve]) -> Sheet:
    """Curves of one measure, part and place beside each other, a row for each layer or step."""
    at = sorted({each for curve in curves for each in curve.at})
    told = [dict(zip(curve.at, curve.values, strict=True)) for curve in curves]
    return Sheet(
        title=(Name(heading(measure, part)), f" at: {curves[0].place}"),
        headings=(_along(measure), *(_column((curve.group, curve.side)) for curve in curves)),
        rows=tuple((str(each), *(number(row.get(each)) for row in told)) for each in evenly(at, MOST_ROWS)),
        notes=_note(measure, max(curve.count for curve in curves)),
    )


def grid_sheet(grid: Grid) -> Sheet:
    """A grid in figures."""
    return Sheet(
        title=(
            Name(heading(grid.measure, grid.part)),
            f" at: {grid.place}, {grid.group}{_SIDES[grid.side].replace(chr(10), ', ')}",
        ),
        headings=(_along(grid.measure), *map(Name, grid.columns)),
        rows=tuple(
            (Name(name), *map(number, row))
            for name, row in evenly(list(zip(grid.rows, grid.values, strict=True)), MOST_ROWS)
        ),
        notes=_note(grid.measure, grid.count),
    )


def trials_sheet(repair: Repair) -> Sheet:
    """Everything that the search for a repair tried, the candidate as it is before it, the chosen repair behind it."""
    rows = [("now", repair.before), *((each.stage, each) for each in evenly(repair.trials, MOST_ROWS))]
    if repair.chosen is not None:
        rows.append(("chosen", repair.chosen))
    return Sheet(
        title=("trials of the search for a repair",),
        headings=("variant", "bits", "memory", "turned back", "lost", "how far", "chosen by", "keeps"),
        rows=tuple(_trial(stage, each) for stage, each in rows),
        notes=((_SCREENED,), (_DECODED,)),
        words=True,
    )


def heading(measure: str, part: str) -> str:
    """What is shown of a measure: its title, and the part."""
    return f"{title_of(measure)}, {part}" if part else title_of(measure)


def evenly(rows: Sequence[T], most: int) -> Sequence[T]:
    """At most so many rows, evenly chosen, the first and the last among them."""
    if len(rows) <= most:
        return rows
    return [rows[(len(rows) - 1) * place // (most - 1)] for place in range(most)]


def _along(measure: str) -> str:
    known = MEASURES.get(measure)
    return known.along if known is not None and known.along else "at"


def _column(key: tuple[Group, Side]) -> str:
    group, side = key
    return f"{group}{_SIDES[side]}"


def _note(measure: str, count: int) -> tuple[Line, ...]:
    known = MEASURES.get(measure)
    cases = counted(count, "case")
    says = "" if known is None else f": {known.says}{f', in {known.unit}' if known.unit else ''}"
    return ((f"{cases}{says}.",),)


def _trial(stage: str, trial: Trial) -> tuple[str, ...]:
    return (
        Name(trial.spec),
        f"{trial.bits:.2f}",
        UNDEFINED if trial.memory_bytes is None else megabytes(trial.memory_bytes),
        f"{trial.turned_back} of {trial.degraded}",
        f"{trial.lost} of {trial.preserved}",
        stage,
        Name(trial.way),
        Name(kept(trial)),
    )
