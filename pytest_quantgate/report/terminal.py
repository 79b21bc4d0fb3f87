"""The run as a terminal shows it: a table per candidate, the reasons, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.gate.wording import given, measured, percent, percent_range
from pytest_quantgate.golden.model import REFERENCE
from pytest_quantgate.plural import counted
from pytest_quantgate.report.breakdown import breakdown_sheets
from pytest_quantgate.report.cliff import cliff, cliff_sheet
from pytest_quantgate.report.diagnosis import diagnosis_lines
from pytest_quantgate.report.figures import UNDEFINED, megabytes
from pytest_quantgate.report.goldens import golden_lines, golden_steps
from pytest_quantgate.report.grounds import gate_lines, judged_lines, run_lines
from pytest_quantgate.report.health import SliceHealth, health_line, healths
from pytest_quantgate.report.rerun import MOST_CASES, rerun_commands, shell_line
from pytest_quantgate.report.tables import drawn, ruled
from pytest_quantgate.report.text import draw, indented, wrap
from pytest_quantgate.report.variants import described, roles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from pytest_quantgate.outcomes.intervals import Interval
    from pytest_quantgate.report.model import AuditRecord, RunReport, VariantRecord

NARROWEST = 80
"""Columns that the table needs; a narrower terminal wraps lines itself."""

_HEADINGS = (
    "slice",
    "cases",
    "P→P",
    "F→F",
    "P→F",
    "F→P",
    "un-\nscored",
    "pass\nref→cand",
    "R",
    "P→F rate\n(limit)",
    "verdict",
)

_VIEWS = ("--html", "run.html", "--markdown", "comment.md")

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}


def render(report: RunReport, *, width: int, color: bool, breakdown: bool = False) -> str:
    """The run as text for a terminal or a log, from the report alone.

    Args:
        report: The run.
        width: Columns to fill; fewer than 80 count as 80. Only command lines may be longer, so that they
            can be copied.
        color: Whether to colour with ANSI escapes.
        breakdown: Whether to add where the changes of each slice are: by tag, category, number of checks, boundary
            distance and cluster, with fragility, decision margins and indicators; and all that diagnoses measured.
    """
    width = max(width, NARROWEST)
    parts: list[RenderableType] = []
    found = healths(report)
    for candidate in report.candidates:
        gates = [gate for gate in report.gates if gate.candidate == candidate.spec]
        parts += [*_candidate(report, candidate, gates, width), *_answers(report, gates, found, width), ""]
        if breakdown:
            for gate in gates:
                for sheet in breakdown_sheets(gate.slice, report.comparisons(gate.slice, gate.candidate)):
                    parts += drawn(sheet, width)
    if (fall := cliff(report)) is not None:
        parts += drawn(cliff_sheet(fall), width)
    parts += golden_lines(report, width)
    parts += diagnosis_lines(report, width, verbose=breakdown)
    told = (*_others(report), *run_lines(report))
    grounds = [line for each in told for line in indented(each, width, rest="  ")]
    parts += [*grounds, *[""][: len(grounds)], *_next_steps(report, width)]
    return draw(parts, color=color)


def _candidate(
    report: RunReport, candidate: VariantRecord, gates: Sequence[GateResult], width: int
) -> Iterator[RenderableType]:
    # a run over recorded answers computed nowhere
    setting = ", ".join([report.model, *(each for each in (report.device, report.compute_dtype) if each != UNDEFINED)])
    for line in wrap(f"candidate {candidate.spec} against reference {report.reference.spec} ({setting})", width):
        yield Text(line, style="bold")
    yield ""
    if gates:
        yield _table(gates, width)
        yield ""
    not_passed = [gate for gate in gates if gate.verdict is not Verdict.PASS]
    for gate in not_passed:
        for line in wrap(f"{gate.verdict.value} {gate.slice}", width):
            yield Text(line, style=_STYLES[gate.verdict])
        for reason in gate.reasons:
            yield from indented(reason, width, first="  - ")
    if not_passed:
        yield ""
    if spreads := "; ".join(_spread(gate, spread) for gate in gates if (spread := _interval(gate)) is not None):
        yield from indented(f"95% intervals of the P→F rates: {spreads}", width, rest="  ")
    for line in (*gate_lines(gates), *_facts(candidate)):
        yield from indented(line, width, rest="  ")


def _facts(candidate: VariantRecord) -> Iterator[str]:
    """What a candidate is, and what the audit found in it."""
    if (what := described(candidate)) is not None:
        yield f"{candidate.spec}: {what}"
    if candidate.audit is not None:
        yield f"{candidate.spec}: {_audit(candidate.audit)}"


def _others(report: RunReport) -> Iterator[str]:
    """What the variants are that have no table of their own."""
    for role, each in roles(report):
        if role != "candidate" and (what := described(each)) is not None:
            yield f"{role} {each.spec}: {what}"


def _answers(
    report: RunReport, gates: Sequence[GateResult], found: Sequence[SliceHealth], width: int
) -> Iterator[RenderableType]:
    """What the answers look like, apart by whether a limit judges it."""
    if not gates:
        return
    specs = (report.reference.spec, gates[0].candidate)
    free = [
        f"{gate.slice}: {line}"
        for gate in gates
        if (line := health_line(found, report.comparisons(gate.slice, gate.candidate), gate, specs[0]))
    ]
    for what, lines in (("judged by limits", list(judged_lines(gates))), ("no gate judges by these", free)):
        if lines:
            yield from indented(f"answers, {specs[0]}→{specs[1]} ({what}):", width, rest="  ")
        for line in lines:
            yield from indented(line, width, first="  ", rest="    ")


def _table(gates: Sequence[GateResult], width: int) -> Table:
    styles = [_STYLES[gate.verdict] for gate in gates]
    return ruled(_HEADINGS, [_cells(gate) for gate in gates], width, words=True, styles=styles)


def _cells(gate: GateResult) -> list[str]:
    """The row of a gate; one whose model did not run has compared no cases, which is not to have none."""
    statistics, counts = gate.statistics, gate.statistics.counts
    compared = counts.n + statistics.unscored
    figures = (compared, counts.pp, counts.ff, counts.pf, counts.fp, statistics.unscored)
    return [
        gate.slice,
        *(str(figure) if compared else UNDEFINED for figure in figures),
        _pass_rates(gate),
        _robustness(gate),
        _against_limit(gate),
        gate.verdict.value,
    ]


def _pass_rates(gate: GateResult) -> str:
    before, after = gate.statistics.counts.reference_pass_rate, gate.statistics.counts.candidate_pass_rate
    return UNDEFINED if before is None or after is None else f"{100 * before:.0f}→{100 * after:.0f}%"


def _robustness(gate: GateResult) -> str:
    robustness = gate.statistics.robustness.value
    return UNDEFINED if robustness is None else measured(robustness, 3, limit=gate.policy.min_robustness)


def _against_limit(gate: GateResult) -> str:
    rate, limit = gate.statistics.counts.pass_to_fail_rate, gate.policy.max_pass_to_fail
    return f"{UNDEFINED if rate is None else percent(rate, limit=limit)} ({given(100 * limit, 0)}%)"


def _interval(gate: GateResult) -> Interval | None:
    return gate.statistics.pass_to_fail.interval


def _spread(gate: GateResult, interval: Interval) -> str:
    found = gate.finding("max_pass_to_fail")
    # another rule, or a noise floor, needs another number than this interval: the reasons tell it
    other = gate.evidence is not None or gate.floor is not None or gate.verdict is Verdict.INCONCLUSIVE
    if other or found is None or found.needed is None or found.needed <= gate.statistics.counts.n:
        return f"{gate.slice} {percent_range(interval)}"
    return f"{gate.slice} {percent_range(interval)} ({counted(found.needed, 'case')} would decide)"


def _audit(audit: AuditRecord) -> str:
    share = f" ({audit.memory_bytes / audit.reference_bytes:.0%})" if audit.reference_bytes else ""
    return (
        f"{audit.modules_replaced} of {audit.modules_total} linear modules quantized, {audit.bits_per_weight:.2f}"
        f" bits per weight, {megabytes(audit.memory_bytes)} against {megabytes(audit.reference_bytes)}{share}"
        " in fp16"
    )


def _next_steps(report: RunReport, width: int) -> Iterator[RenderableType]:
    yield Text("what to do next", style="bold")
    if report.base_command:  # recorded answers cannot be made again
        yield from _reruns(report, width)
        yield from golden_steps(report, width)
    path = report.report_path
    if path is None and report.base_command:
        yield "- to keep a run as JSON, add --quant-report-json run.json to the command"
    elif path is None:
        sentence = "to keep a run as JSON, add --report-json run.json to the command; for HTML or Markdown then:"
        yield from indented(sentence, width, first="- ")
        yield from _commands([shell_line(["quantgate", "report", "run.json", *_VIEWS])])
    else:
        yield "- to see this report again:"
        yield from _commands([shell_line(["quantgate", "report", path])])
        if not report.base_command:  # pytest has options for them
            yield "- to write it as HTML, and as Markdown for a pull request:"
            yield from _commands([shell_line(["quantgate", "report", path, *_VIEWS])])
        yield from _looks(report, path)


def _looks(report: RunReport, path: str) -> Iterator[RenderableType]:
    """What looks into a red gate, the one that lost most."""
    failed = (gate for gate in report.gates if gate.verdict is Verdict.FAIL)
    red = [(gate, degraded) for gate in failed if (degraded := report.degraded(gate.slice, gate.candidate))]
    if not red:
        return
    worst, cases = max(red, key=lambda each: each[0].statistics.counts.pass_to_fail_rate or 0.0)
    yield "- to see both answers to a case token by token:"
    name = full_name(worst.slice, cases[0].case.id, worst.candidate)
    yield from _commands([shell_line(["quantgate", "show", path, name])])
    elsewhere = (REFERENCE, "http://", "https://")  # nobody can look into what is not run here
    specs = (report.reference.spec, worst.candidate)
    if report.base_command and not report.diagnoses and not any(spec.startswith(elsewhere) for spec in specs):
        yield "- to learn why a gate failed, and what repairs it:"
        chosen = ["--slice", worst.slice, "--candidate", worst.candidate]
        yield from _commands([shell_line(["quantgate", "diagnose", path, *chosen])])


def _reruns(report: RunReport, width: int) -> Iterator[RenderableType]:
    for gate in report.gates:
        if gate.verdict is not Verdict.FAIL:
            continue
        degraded = report.degraded(gate.slice, gate.candidate)
        if not degraded:
            continue
        noun = "case" if len(degraded) == 1 else "cases"
        which = f", the first {MOST_CASES}" if len(degraded) > MOST_CASES else ""
        sentence = f"run the {len(degraded)} degraded {noun} of {gate.slice} on {gate.candidate} again{which}:"
        yield from indented(sentence, width, first="- ")
        yield from _commands(rerun_commands(report.base_command, degraded, gate.candidate))
        if (rest := len(degraded) - MOST_CASES) > 0:
            yield f"  ... and {rest} more"
    if any(gate.partial for gate in report.gates):
        yield "- for a verdict, run every case of the slices:"
        yield from _commands([shell_line(report.base_command)])
    if any(_not_proven(gate) for gate in report.gates):
        sentence = "what is not proven takes more cases, or looser limits; to see what each slice can prove:"
        yield from indented(sentence, width, first="- ")
        yield from _commands([shell_line([*report.base_command, "--quant-dry-run"])])


def _not_proven(gate: GateResult) -> bool:
    """Whether a gate of the rule evidence could be judged, and proved nothing."""
    evidence = gate.evidence
    judged = evidence is not None and min(evidence.p_fail, evidence.p_pass) < 1
    return judged and gate.verdict is Verdict.INCONCLUSIVE and gate.blind is None


def _commands(lines: Sequence[str]) -> Iterator[Text]:
    for line in lines:
        yield Text(f"    {line}", style="cyan")
