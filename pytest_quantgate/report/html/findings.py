"""What the page shows of each gate: its charts, and the tables that say the same in figures."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.wording import percent, percent_limit
from pytest_quantgate.outcomes.breakdown import strata
from pytest_quantgate.outcomes.fragility import fragilities
from pytest_quantgate.outcomes.indicators import compare, words
from pytest_quantgate.outcomes.margins import margins
from pytest_quantgate.plural import counted
from pytest_quantgate.report.breakdown import (
    BOUNDARY_NOTE,
    fragility_sheet,
    indicators_sheet,
    margins_sheet,
    strata_sheet,
)
from pytest_quantgate.report.cliff import cliff, cliff_sheet
from pytest_quantgate.report.figures import UNDEFINED, share
from pytest_quantgate.report.html.charts import ROLES, Dot, Line, Pair, curves, dots, falls, pairs, scale_of
from pytest_quantgate.report.html.partings import shared, shared_sheet, survivors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.outcomes.breakdown import Kind, Stratum
    from pytest_quantgate.outcomes.fragility import Fragility
    from pytest_quantgate.outcomes.indicators import Indicator
    from pytest_quantgate.outcomes.intervals import Interval
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.report.html.charts import Role
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.tables import Sheet

MOST_DRAWN: Final = 24
"""Gates whose parts are drawn, the worst first; a run with more has the others in tables alone."""

MOST_ROWS: Final = 24
"""Rows of one chart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with what it shows.

    Attributes:
        title: Says what is shown, and what it says.
        svg: The drawing.
        note: How to read it.
    """

    title: str
    svg: Markup
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The parts of one gate.

    Attributes:
        charts: What is drawn; empty for a gate beyond ``MOST_DRAWN``.
        sheets: The same and more in figures.
    """

    charts: tuple[Chart, ...]
    sheets: tuple[Sheet, ...]


def summaries(report: RunReport) -> dict[str, Chart]:
    """A chart for each of the first candidates: its slices against their limits, on one scale for all."""
    shown = report.candidates[:MOST_DRAWN]
    gates = {each.spec: [gate for gate in report.gates if gate.candidate == each.spec] for each in shown}
    rows = {spec: [_against(gate) for gate in found[:MOST_ROWS]] for spec, found in gates.items() if found}
    end = scale_of([row for found in rows.values() for row in found])
    charts = {}
    for spec, found in rows.items():
        over = sum(gate.verdict is Verdict.FAIL for gate in gates[spec])
        title = f"{spec}: {over} of {counted(len(gates[spec]), 'slice')} FAIL"
        left = len(gates[spec]) - len(found)
        note = f"{left} more slices are in the table only." if left else ""
        charts[spec] = Chart(title, dots(found, title=f"PASS→FAIL rate of {spec} by slice", end=end), note)
    return charts


def sweep(report: RunReport) -> tuple[Chart, Sheet] | None:
    """The cliff over bits as chart and table; None unless candidates of different bits were judged."""
    found = cliff(report)
    if found is None:
        return None
    steps = [f"{step.candidate}, {step.bits:g} bits" for step in found.steps]
    lines = []
    for descent in found.descents[:MOST_ROWS]:
        cells = [
            (place, cell.pass_to_fail, cell.verdict)
            for place, cell in enumerate(descent.cells)
            if cell is not None and cell.pass_to_fail is not None
        ]
        if cells:
            points = tuple((float(place), rate) for place, rate, _ in cells)
            lines.append(Line(descent.slice, points, marks=tuple(verdict for *_, verdict in cells)))
    if not lines:
        return None
    begins = sum(descent.begins is not None for descent in found.descents)
    title = f"PASS→FAIL from many bits to few: the fall begins in {begins} of {counted(len(found.descents), 'slice')}"
    return Chart(title, falls(lines, steps, title="PASS→FAIL rate of each slice over the candidates")), cliff_sheet(
        found
    )


def finding(gate: GateResult, comparisons: Sequence[Comparison], *, drawn: bool) -> Finding:
    """The parts of one gate, computed from its cases."""
    parts = strata(comparisons)
    broken, told, parted = fragilities(comparisons), compare(comparisons), shared(comparisons)
    known = [each for each in told if each.cases]
    charts: list[Chart] = []
    sheets: list[Sheet] = []
    if drawn:
        charts += _charts(gate, parts, broken, known)
    for kind in ("checks", "boundary", "category", "tag", "cluster"):
        chosen = _of_kind(parts, kind)
        if chosen:
            sheets.append(strata_sheet(gate.slice, kind, chosen))
    if broken:
        sheets.append(fragility_sheet(gate.slice, broken))
    if known:
        sheets.append(indicators_sheet(gate.slice, known))
    if parted:
        sheets.append(shared_sheet(gate.slice, parted))
        if drawn and any(each < inf for kind in parted for each in kind.tokens):
            half = parted[0].by(0.5)
            when = "never part" if half == inf else f"have parted by token {half + 1:.0f}"
            title = f"Half of the {parted[0].label} answers {when}"
            note = "Share of answers that still equal the reference's after so many tokens."
            charts.append(Chart(title, curves(survivors(parted), title="answers that are still the same"), note))
    sure = margins(comparisons)
    if sure.degraded.parted or sure.preserved.parted:
        sheets.append(margins_sheet(gate.slice, sure))
    return Finding(tuple(charts), tuple(sheets))


def _charts(
    gate: GateResult, parts: Sequence[Stratum], broken: Sequence[Fragility], told: Sequence[Indicator]
) -> Iterator[Chart]:
    titles: dict[Kind, tuple[str, str, str]] = {
        "checks": ("PASS→FAIL by number of checks", "{} checks", ""),
        "boundary": ("PASS→FAIL by boundary distance of the reference's answer", "{}", BOUNDARY_NOTE),
    }
    for kind, (title, label, note) in titles.items():
        if chosen := _of_kind(parts, kind):
            rows = [_stratum(each, label, gate) for each in chosen[:MOST_ROWS]]
            yield Chart(title, dots(rows, title=title), note)
    if weak := [each for each in broken if each.share.value is not None][:MOST_ROWS]:
        first = weak[0]
        title = f"Most fragile: {first.category}, {first.violated} of {first.followed} checks broken"
        if not first.violated:
            title = "No check that the reference followed is broken"
        rows = [
            _dot(each.category, each.share.value, each.share.interval, f"{each.violated} of {each.followed}")
            for each in weak
        ]
        yield Chart(title, dots(rows, title="share of checks broken, by category"))
    changed = [
        Pair(words(each.name), each.reference, each.candidate, f"{share(each.reference)} → {share(each.candidate)}")
        for each in told
        if each.name != "length_ratio" and each.reference is not None and each.candidate is not None
    ]
    if changed:
        length = next((each for each in told if each.name == "length_ratio"), None)
        title = "Indicators, reference to candidate"
        if length is not None and length.reference is not None and length.candidate is not None:
            title += f"; mean length {length.reference:.0f} → {length.candidate:.0f} tokens"
        yield Chart(title, pairs(changed, title="indicators of reference and candidate"))


def _of_kind(parts: Sequence[Stratum], kind: Kind) -> list[Stratum]:
    """The strata of one kind; none where one has all cases, which says nothing new."""
    chosen = [each for each in parts if each.kind == kind]
    return chosen if len(chosen) > 1 or kind in ("tag", "cluster") else []


def _against(gate: GateResult) -> Dot:
    """A gate's rate against its limit."""
    estimate, limit = gate.statistics.pass_to_fail, gate.policy.max_pass_to_fail
    value = UNDEFINED if estimate.value is None else percent(estimate.value, limit=limit)
    return _dot(
        gate.slice, estimate.value, estimate.interval, f"{value}, limit {percent_limit(limit)}",
        role=ROLES[gate.verdict], limit=limit,
    )  # fmt: skip


def _dot(
    label: str,
    value: float | None,
    interval: Interval | None,
    told: str,
    *,
    role: Role = "ink",
    limit: float | None = None,
) -> Dot:
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return Dot(label, value, low, high, told, role, limit)


def _stratum(each: Stratum, label: str, gate: GateResult) -> Dot:
    counts, estimate = each.statistics.counts, each.statistics.pass_to_fail
    name = label.format(each.name) if each.name != "1" else "1 check"
    return _dot(
        name, estimate.value, estimate.interval, f"{counts.pf} of {counts.n}", limit=gate.policy.max_pass_to_fail
    )
