"""What the verdicts of a run rest on, one line each: noise floor, controls, looks, clusters, paired tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.sentences import INDICATOR_WORDS
from pytest_quantgate.gate.wording import given, measured, percent_limit, percent_range
from pytest_quantgate.golden.model import REFERENCE
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.plural import counted
from pytest_quantgate.report.figures import UNDEFINED, change, probability, ranged, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.gate.model import Finding, Floor, GateResult
    from pytest_quantgate.outcomes.clusters import Reliability
    from pytest_quantgate.report.model import RunReport


def gate_lines(gates: Sequence[GateResult]) -> Iterator[str]:
    """What belongs to the gates of one candidate."""
    proven = [(gate, gate.evidence) for gate in gates if gate.verdict is Verdict.PASS and gate.evidence is not None]
    if told := ", ".join(f"{gate.slice} {probability(evidence.p_pass)}" for gate, evidence in proven):
        family = proven[0][1]
        noun = "gate" if family.gates == 1 else "gates"
        yield f"PASS proven, p adjusted for {family.gates} {noun}, at alpha {family.alpha:g}: {told}"
    if told := "; ".join(f"{gate.slice} {excess}" for gate in gates if (excess := _excess(gate)) is not None):
        yield f"judged beyond the noise floor: {told}"
    if told := "; ".join(_agreement(gate.slice, each) for gate in gates for each in gate.findings if each.check):
        yield f"checks agree with people about the candidate's answers: {told}"
    changed = [gate for gate in gates if gate.statistics.counts.unstable]
    if told := ", ".join(f"{gate.slice} {probability(gate.statistics.mcnemar)}" for gate in changed):
        yield f"exact McNemar p of P→F against F→P: {told}"
    for gate in gates:
        if gate.statistics.reliability is not None:
            yield _reliability(gate.slice, gate.statistics.reliability)


def run_lines(report: RunReport) -> Iterator[str]:
    """What belongs to the run."""
    yield from _floors(report)
    for role in ("positive control", "negative control"):
        controls = [gate for gate in report.controls if gate.role == role]
        for spec in dict.fromkeys(gate.candidate for gate in controls):
            yield _control(role, spec, [gate for gate in controls if gate.candidate == spec])
    if report.settings.seed is not None:
        yield _savings(report, report.settings.seed)


def judged_lines(gates: Sequence[GateResult]) -> Iterator[str]:
    """The indicators that limits judge, by slice: ``math: loop rate changed by +2.0 (-1.0 to +5.0) points, ...``."""
    for gate in gates:
        told = "; ".join(_judged(each) for each in gate.findings if each.limit in INDICATOR_WORDS)
        if told:
            yield f"{gate.slice}: {told}"


def _judged(found: Finding) -> str:
    name = INDICATOR_WORDS[found.limit]
    if found.limit == "max_length_ratio":
        spread = "" if found.interval is None else f" ({found.interval.low:.2f} to {found.interval.high:.2f})"
        value = UNDEFINED if found.measured is None else f"{found.measured:.2f}{spread}"
        return f"{name} {value}, limit {given(found.bound, 2)}"
    sign = "±" if found.limit == "max_refusal_drift" else "+"
    value = change(Estimate(found.measured, found.interval))
    return f"{name} changed by {value} points, limit {sign}{given(100 * found.bound, 1)}"


def _agreement(name: str, found: Finding) -> str:
    value = ranged(Estimate(found.measured, found.interval))
    return f"{name} {found.check} {value}, limit {percent_limit(found.bound)}"


def _excess(gate: GateResult) -> str | None:
    """What the limits were held against where the table shows what was measured before the floor was taken off."""
    degraded, robustness = gate.finding("max_pass_to_fail"), gate.finding("min_robustness")
    if gate.floor is None or degraded is None or robustness is None:
        return None
    if degraded.measured is None or robustness.measured is None:
        return None
    return f"P→F {change(Estimate(degraded.measured, degraded.interval))} points, R {measured(robustness.measured, 3)}"


def _reliability(name: str, found: Reliability) -> str:
    k = str(found.largest) if found.smallest == found.largest else f"{found.smallest}-{found.largest}"
    counts = found.counts
    unscored = f", {found.unscored} more with an unscored case" if found.unscored else ""
    return (
        f"{name}, reliable@{k}: all cases pass in {share(found.reference.value)} → {share(found.candidate.value)} of"
        f" {counted(counts.n, 'cluster')}, {counts.pf} P→F and {counts.fp} F→P{unscored}"
    )


def _floors(report: RunReport) -> Iterator[str]:
    # every candidate's gate carries the same floor
    floors = {gate.slice: gate.floor for gate in report.gates if gate.floor is not None}
    if floors:
        told = ", ".join(f"{name} {_floor(floor)}" for name, floor in floors.items())
        yield f"noise floor, P→F of {report.reference.spec} against itself run another way: {told}"


def _floor(floor: Floor) -> str:
    spread = "" if floor.interval is None else f" ({percent_range(floor.interval)})"
    return f"{floor.pass_to_fail} of {floor.cases}{spread}"


def _control(role: str, spec: str, gates: Sequence[GateResult]) -> str:
    """Where a control did what it must; why it did not elsewhere stands with the gates of the candidates."""
    wanted, seen, missed = Verdict.FAIL, "seen in", "BLIND:"
    if role == "negative control":
        wanted, seen, missed = Verdict.PASS, "passes in", "does NOT pass:"
    looked = [gate for gate in gates if gate.statistics.counts.n]
    good = ", ".join(gate.slice for gate in looked if gate.verdict is wanted)
    bad = ", ".join(f"{gate.slice} ({gate.verdict.value})" for gate in looked if gate.verdict is not wanted)
    none = ", ".join(gate.slice for gate in gates if not gate.statistics.counts.n)
    told = "; ".join(
        f"{what} {where}" for what, where in ((seen, good), (missed, bad), ("no answers in", none)) if where
    )
    return f"{role} {spec}: {told}"


def _savings(report: RunReport, seed: int) -> str:
    """Cases that were asked, of those selected, and the answers of all variants that were never made."""
    anchored = report.reference.spec.startswith(REFERENCE)  # is asked nothing
    variants = len(report.candidates) + len(report.control_variants)
    variants += (not anchored) + (report.floor_variant is not None)
    told, saved = [], 0
    for name in dict.fromkeys(gate.slice for gate in report.gates if gate.evidence is not None):
        records = [record for record in report.cases if record.slice == name]
        left = [record for record in records if not record.outcomes]
        saved += variants * sum(1 + len(record.case.later) for record in left)
        told.append(f"{name} {len(records) - len(left)} of {len(records)}")
    return f"sequential, seed {seed}: cases asked: {', '.join(told) or 'none'}; {counted(saved, 'answer')} saved"
