"""How the variants stand to their goldens: one table, and below it what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.wording import percent_limit
from pytest_quantgate.golden.model import State
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.plural import counted
from pytest_quantgate.report.figures import UNDEFINED, ranged
from pytest_quantgate.report.inert import code, told, told_lines
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import GoldenRecord

SHOWN: Final = 5
"""Drifted or accepted cases of one golden that are named."""

_STATES: Final[tuple[State, ...]] = get_args(State)


def golden_sheet(report: RunReport) -> Sheet:
    """One row for each golden and each drift gate: cases by state, and how many drifted against the limit."""
    goldens = {(each.slice, each.variant): each for each in report.goldens}
    gates = {(each.slice, each.candidate): each for each in report.drifts}
    return Sheet(
        title=("against the goldens",),
        headings=("slice", "variant", *_STATES, "drift (95% interval)", "limit", "verdict"),
        rows=tuple(_row(key, goldens.get(key), gates.get(key)) for key in dict.fromkeys([*gates, *goldens])),
        words=True,
    )


def golden_blocks(report: RunReport) -> Iterator[str]:
    """What Markdown says below that table: why a gate does not pass, what changed, what was accepted and written."""
    for gate in report.drifts:
        if gate.verdict is not Verdict.PASS:
            reasons = "; ".join(gate.reasons)
            why = told_lines(reasons, "  ")
            yield f"- **{gate.verdict.value}** {code(gate.slice)} on {code(gate.candidate)}: {why}\n"
    for golden in report.goldens:
        who = f"{code(golden.variant)} on {code(golden.slice)}"
        if golden.changes:
            yield f"- since {who} was anchored ({told(golden.anchored or '')}): {told('; '.join(golden.changes))}\n"
        drifted = [each for each in golden.standings if each.state == "drifted"]
        for standing in drifted[:SHOWN]:
            yield f"- drifted, {who}: {code(standing.case_id)}: {told(standing.reason)}\n"
        if len(drifted) > SHOWN:
            yield f"- {len(drifted) - SHOWN} more cases of {who} drifted\n"
        for case_id, reason in list(golden.accepted.items())[:SHOWN]:
            yield f"- accepted although degraded, {who}: {code(case_id)}: {told(reason)}\n"
        if len(golden.accepted) > SHOWN:
            yield f"- {len(golden.accepted) - SHOWN} more cases of {who} are accepted although degraded\n"
        if golden.written:
            count = len(golden.written)
            yield f"- this run wrote {counted(count, 'case')} of {who} into {code(golden.path)}\n"


def _row(key: tuple[str, str], golden: GoldenRecord | None, gate: GateResult | None) -> tuple[str, ...]:
    states = None if golden is None else golden.states()
    found = None if gate is None else gate.finding("max_drift")
    return (
        *map(Name, key),
        *(UNDEFINED if states is None else str(states[state]) for state in _STATES),
        UNDEFINED if found is None else ranged(Estimate(found.measured, found.interval)),
        UNDEFINED if gate is None else percent_limit(gate.policy.max_drift),
        UNDEFINED if gate is None else gate.verdict.value,
    )
