"""What the terminal tells of goldens: how each variant stands to what it is anchored to, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from rich.text import Text

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.golden.model import REFERENCE, State
from pytest_quantgate.golden.reanchor import ANCHORABLE
from pytest_quantgate.plural import counted
from pytest_quantgate.report.rerun import MOST_CASES, shell_line
from pytest_quantgate.report.text import indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import GoldenRecord


def golden_lines(report: RunReport, width: int) -> Iterator[RenderableType]:
    """The goldens of a run; nothing where there is none.

    Args:
        report: The run.
        width: Columns to fill.
    """
    if not report.goldens:
        return
    yield Text("goldens", style="bold")
    for record in report.goldens:
        yield from indented(_headline(record), width, first="  ", rest="    ")
        for line in _details(record):
            yield from indented(line, width, first="    ", rest="      ")
    for gate in report.drifts:
        if gate.verdict is not Verdict.PASS:
            style = "bold red" if gate.verdict is Verdict.FAIL else "bold yellow"
            for line in wrap(f"{gate.verdict.value} drift of {gate.slice} on {gate.candidate}", width):
                yield Text(line, style=style)
            for reason in gate.reasons:
                yield from indented(reason, width, first="  - ")
    yield ""


def golden_steps(report: RunReport, width: int) -> Iterator[RenderableType]:
    """What to do about cases that are not as they were anchored.

    Args:
        report: The run.
        width: Columns to fill; only command lines may be longer.
    """
    found = {
        each.state
        for record in report.goldens
        for each in record.standings
        if each.case_id not in record.written and not record.variant.startswith(REFERENCE)
    }
    states = [state for state in ANCHORABLE if state in found]
    if not states or not report.base_command:
        return
    sentence = f"if what is {' or '.join(states)} is as it should be, anchor it anew, or look at each change first:"
    yield from indented(sentence, width, first="- ")
    for what in (",".join(states), "review"):
        yield Text(f"    {shell_line([*report.base_command, '--quant-reanchor', what])}", style="cyan")


def _headline(record: GoldenRecord) -> str:
    states = record.states()
    told = ", ".join(f"{states[state]} {state}" for state in get_args(State) if states[state]) or "no case"
    since = f"anchored {record.anchored[:10]} by {record.by}" if record.anchored else "not anchored before"
    return f"{record.slice} on {record.variant}, {since}: {told}"


def _details(record: GoldenRecord) -> Iterator[str]:
    if record.changes:
        yield f"other than when it was anchored: {'; '.join(record.changes)}"
    drifted = [each for each in record.standings if each.state == "drifted"]
    for each in drifted[:MOST_CASES]:
        yield f"drifted {each.case_id}: {each.reason}"
    if (rest := len(drifted) - MOST_CASES) > 0:
        yield f"... and {rest} more"
    for case_id, reason in list(record.accepted.items())[:MOST_CASES]:
        yield f"accepted although degraded: {case_id} ({reason})"
    if (rest := len(record.accepted) - MOST_CASES) > 0:
        yield f"... and {rest} more"
    removed = {each.case_id for each in record.standings if each.state == "unused"}
    yield from _written("anchored by this run", [each for each in record.written if each not in removed])
    yield from _written("removed by this run", [each for each in record.written if each in removed])


def _written(what: str, cases: Sequence[str]) -> Iterator[str]:
    if cases:
        shown = ", ".join(cases[:MOST_CASES])
        yield f"{what}: {counted(len(cases), 'case')} ({shown}{', ...' if cases[MOST_CASES:] else ''})"
