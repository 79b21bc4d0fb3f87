"""Gates as tests of their own: synthetic reports that survive -k and -x and reach JUnit XML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_quantgate.cases.model import Location, full_name
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.plugin.collect import drift_name, gate_name
from pytest_quantgate.plugin.verdicts import trouble_beside
from pytest_quantgate.printable import no_command
from pytest_quantgate.report import junit

if TYPE_CHECKING:
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.plugin.book import CaseRef
    from pytest_quantgate.plugin.session import QuantRun

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate of one slice and candidate as pytest reports it.

    Attributes:
        nodeid: Node id of the synthetic test.
        location: The slice file.
        result: The verdict.
        broken: Something other than the user's selection and the number of cases kept it from a verdict.
        details: A traceback to show with the failure, or nothing.
        lenient: The user lets gates pass that cannot decide.
        excuse: Why it is reported as skipped whatever it says; empty for all but drift gates.
    """

    nodeid: str
    location: Location
    result: GateResult
    broken: bool
    details: str = ""
    lenient: bool = False
    excuse: str = ""

    @property
    def outcome(self) -> Outcome:
        """A gate that cannot decide lets no model pass, unless the user chose so, or to run a part of the slice."""
        if self.result.verdict is Verdict.PASS:
            return "passed"
        if self.excuse:
            return "skipped"
        excused = self.lenient or self.result.partial
        if self.result.verdict is Verdict.INCONCLUSIVE and excused and not self.broken:
            return "skipped"
        return "failed"


def case_nodeid(run: QuantRun, ref: CaseRef) -> str:
    """The node id of a case; to its item's own pytest-xdist may add a group, and by that nothing is selected."""
    return full_name(run.gated[ref.slice], ref.case.id, ref.candidate)


def nodeid(run: QuantRun, name: str, candidate: str) -> str:
    """The node id of the gate of a slice of that name."""
    return f"{run.gated[name]}::{gate_name(candidate)}"


def nodeids(run: QuantRun, name: str, candidate: str) -> tuple[str, ...]:
    """The node ids of all gates that rest on the cases of a candidate: its own, its drift gate, the reference's."""
    drifts = (drift_name(variant) for variant in (candidate, run.options.reference))
    return nodeid(run, name, candidate), *(f"{run.gated[name]}::{drift}" for drift in drifts)


def gate_of(run: QuantRun, result: GateResult) -> Gate:
    """The verdict on one slice and candidate as a test."""
    name, candidate = result.slice, result.candidate
    trouble = run.answers.trouble(candidate) or trouble_beside(run)
    asked = sum(run.looks.asked(name, case_id) for case_id in run.tally.selected[name, candidate])
    return Gate(
        nodeid=nodeid(run, name, candidate),
        location=Location(run.gated[name], run.book.named(name).location.line),
        result=result,
        broken=trouble is not None or len(run.tally.arrived(name, candidate)) < asked,
        details="" if trouble is None else trouble.details,
        lenient=run.options.inconclusive == "pass",
    )


class PlainFailure:
    """A failure that is told in a few lines, without a traceback; pytest reads it as one of its own.

    Args:
        text: What the FAILURES section shows.
        summary: One line for the short summary and for JUnit's message.
    """

    def __init__(self, text: str, summary: str) -> None:
        self.text = no_command(text)
        self.reprcrash = _Crash(no_command(summary))

    def __str__(self) -> str:
        return self.text

    def toterminal(self, tw: Any) -> None:
        """Write the text."""
        for line in self.text.splitlines():
            tw.line(line)


@dataclass(frozen=True, slots=True)
class _Crash:
    message: str

    def __str__(self) -> str:
        return self.message


def emit(config: pytest.Config, gate: Gate) -> None:
    """Report a gate through pytest's hooks, as the runner reports an item."""
    result = gate.result
    properties = [
        ("quant_slice", result.slice),
        ("quant_candidate", result.candidate),
        ("quant_verdict", result.verdict.value),
        *junit.properties(result),
    ]
    name = gate.nodeid.rpartition("::")[2]
    location = (gate.location.path, gate.location.line - 1, f"{result.slice}: {name}")
    config.hook.pytest_runtest_logstart(nodeid=gate.nodeid, location=location)
    phases: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
    for when in phases:
        report = pytest.TestReport(
            nodeid=gate.nodeid,
            location=location,
            keywords={},
            outcome=gate.outcome if when == "call" else "passed",
            longrepr=_longrepr(gate) if when == "call" else None,
            when=when,
            user_properties=properties,
        )
        config.hook.pytest_runtest_logreport(report=report)
    config.hook.pytest_runtest_logfinish(nodeid=gate.nodeid, location=location)


def _longrepr(gate: Gate) -> Any:
    result = gate.result
    if gate.outcome == "passed":
        return None
    if gate.outcome == "skipped":
        return (gate.location.path, gate.location.line, no_command(gate.excuse or "; ".join(result.reasons)))
    what = "drift of " if result.role == "drift" else ""
    lines = [f"{what}{result.slice}, {result.candidate}: {result.verdict.value}"]
    lines += [f"  {line}" for reason in result.reasons for line in reason.splitlines()]
    text = "\n".join([*lines, *gate.details.splitlines()])
    summary = "; ".join(reason.partition("\n")[0] for reason in result.reasons)
    return PlainFailure(text, f"{result.verdict.value}: {summary}")
