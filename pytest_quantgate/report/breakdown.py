"""Where the changes of a slice are, computed from its cases whenever it is shown or written."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.gate.wording import percent
from pytest_quantgate.outcomes.breakdown import strata
from pytest_quantgate.outcomes.fragility import fragilities
from pytest_quantgate.outcomes.indicators import compare, words
from pytest_quantgate.outcomes.margins import NEAR_TIE, margins
from pytest_quantgate.report.figures import UNDEFINED, change, ranged
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.outcomes.breakdown import Kind, Stratum
    from pytest_quantgate.outcomes.fragility import Fragility
    from pytest_quantgate.outcomes.indicators import Indicator
    from pytest_quantgate.outcomes.margins import Margins
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.report.model import RunReport

WORST_CLUSTERS: Final = 10
"""Clusters that are shown; a slice may have hundreds."""

BOUNDARY_NOTE: Final = (
    "Cases grade strictly, so one that degrades had all its checks followed: PASS→FAIL falls into the last bin by"
    " construction, and says nothing about near ties. Decision margins do."
)

_TITLES: Final[dict[Kind, tuple[str, str]]] = {
    "tag": ("by tag", "tag"),
    "category": ("by category of check", "category"),
    "checks": ("by number of checks", "checks"),
    "boundary": ("by boundary distance", "distance"),
    "cluster": ("by cluster, the worst", "cluster"),
}


def encode_breakdown(report: RunReport) -> list[dict[str, Any]]:
    """One JSON value for each gate of a candidate, for readers that do not want to look at every case."""
    rows = []
    for gate in report.gates:
        comparisons = report.comparisons(gate.slice, gate.candidate)
        rows.append(
            {
                "slice": gate.slice,
                "candidate": gate.candidate,
                "strata": [asdict(each) for each in strata(comparisons)],
                "fragility": [asdict(each) for each in fragilities(comparisons)],
                "margins": asdict(margins(comparisons)),
                "indicators": [asdict(each) for each in compare(comparisons)],
            }
        )
    return rows


def breakdown_sheets(name: str, comparisons: Sequence[Comparison]) -> Iterator[Sheet]:
    """The tables of one slice and candidate; none for what has no rows."""
    found = strata(comparisons)
    for kind in _TITLES:
        chosen = [each for each in found if each.kind == kind]
        if len(chosen) > 1 or (chosen and kind in ("tag", "cluster")):  # one that all cases are in says nothing new
            yield strata_sheet(name, kind, chosen)
    if broken := fragilities(comparisons):
        yield fragility_sheet(name, broken)
    parted = margins(comparisons)
    if parted.degraded.parted or parted.preserved.parted:
        yield margins_sheet(name, parted)
    if told := [each for each in compare(comparisons) if each.cases]:
        yield indicators_sheet(name, told)


def strata_sheet(name: str, kind: Kind, chosen: Sequence[Stratum]) -> Sheet:
    """The strata of one kind; of clusters the worst."""
    title, heading = _TITLES[kind]
    shown = chosen
    if kind == "cluster":
        shown = sorted(chosen, key=lambda each: -(each.statistics.pass_to_fail.value or 0))[:WORST_CLUSTERS]
    notes = [(BOUNDARY_NOTE,)] if kind == "boundary" else []
    if len(shown) < len(chosen):
        notes.append((f"{len(chosen) - len(shown)} more clusters are not shown.",))
    rows = []
    for each in shown:
        counts, robustness = each.statistics.counts, each.statistics.robustness.value
        rows.append(
            (
                Name(each.name),
                str(counts.n),
                str(counts.pf),
                str(counts.fp),
                ranged(each.statistics.pass_to_fail),
                UNDEFINED if robustness is None else f"{robustness:.3f}",
            )
        )
    headings = (heading, "cases", "P→F", "F→P", "P→F rate (95% interval)", "R")
    return Sheet((Name(name), " ", title), headings, tuple(rows), tuple(notes))


def fragility_sheet(name: str, broken: Sequence[Fragility]) -> Sheet:
    """Which categories of checks broke."""
    return Sheet(
        title=(Name(name), " fragility: of the checks that the reference followed, those that broke"),
        headings=("category", "followed", "violated", "share (95% interval)"),
        rows=tuple(
            (Name(each.category), str(each.followed), str(each.violated), ranged(each.share)) for each in broken
        ),
    )


def margins_sheet(name: str, parted: Margins) -> Sheet:
    """How sure the reference was where the answers part."""
    rows = [
        (
            label,
            str(each.parted),
            str(each.measured),
            UNDEFINED if each.median is None else f"{each.median:.2f}",
            ranged(each.near_ties),
        )
        for label, each in (("PASS→FAIL", parted.degraded), ("PASS→PASS", parted.preserved))
    ]
    return Sheet(
        title=(Name(name), " decision margins where the answers part, in nats"),
        headings=("cases", "answers\npart", "with a\nmargin", "median", f"below {NEAR_TIE:g}: near ties"),
        rows=tuple(rows),
    )


def indicators_sheet(name: str, told: Sequence[Indicator]) -> Sheet:
    """What the answers of both sides look like."""
    return Sheet(
        title=(Name(name), " indicators: candidate against reference"),
        headings=("indicator", "answers", "reference", "candidate", "change (95% interval)"),
        rows=tuple(map(_indicator, told)),
        notes=(("Changes in percentage points; the length ratio is that of mean output tokens.",),),
    )


def _indicator(each: Indicator) -> tuple[str, ...]:
    sides = (each.reference, each.candidate)
    if each.name == "length_ratio":
        shown = [UNDEFINED if side is None else f"{side:.1f}" for side in sides]
        interval, value = each.change.interval, each.change.value
        spread = "" if interval is None else f" ({interval.low:.2f} to {interval.high:.2f})"
        moved = UNDEFINED if value is None else f"{value:.2f}{spread}"
    else:
        shown = [UNDEFINED if side is None else percent(side) for side in sides]
        moved = change(each.change)
    return (words(each.name), str(each.cases), *shown, moved)
