"""Where quality falls off as bits get fewer: slices against candidates, from many bits to few."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.figures import UNDEFINED, share
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.report.model import RunReport


MARKS: Final = {Verdict.PASS: "+", Verdict.FAIL: "x", Verdict.INCONCLUSIVE: "?"}


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate of the sweep.

    Attributes:
        candidate: Its spec.
        bits: Bits of a weight, by its spec's name.
    """

    candidate: str
    bits: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One candidate on one slice.

    Attributes:
        pass_to_fail: Its PASS→FAIL rate; None when no case is scored.
        verdict: What its gate says.
    """

    pass_to_fail: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Descent:
    """One slice, down all candidates.

    Attributes:
        slice: Its name.
        reference_pass: Pass rate of the reference; None when no case is scored.
        cells: One per step; None where the slice has no gate for that candidate.
        begins: The step at which the fall begins: of all candidates with fewer bits than the last one that passes, the
            first whose gate fails. None when there is no such candidate.
        undecided: INCONCLUSIVE candidates with fewer bits than the last one that passes, down to where the fall begins:
            it may begin at any of them already.
        exceptions: Candidates that fail though one with as many bits or fewer passes: no fall, something of their own.
    """

    slice: str
    reference_pass: float | None
    cells: tuple[Cell | None, ...]
    begins: Step | None
    undecided: tuple[str, ...]
    exceptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cliff:
    """A sweep over candidates.

    Attributes:
        reference: Spec of the reference.
        steps: The candidates whose bits are known, from many to few; equal ones in the order of the run.
        descents: One per slice, in the order of the run.
    """

    reference: str
    steps: tuple[Step, ...]
    descents: tuple[Descent, ...]


def cliff(report: RunReport) -> Cliff | None:
    """The sweep of a run; None unless two of its candidates have known bits that differ."""
    known = [Step(each.spec, each.bits) for each in report.candidates if each.bits is not None]
    if len({step.bits for step in known}) < 2:  # noqa: PLR2004  (two make a difference)
        return None
    steps = sorted(known, key=lambda step: -step.bits)
    gates = {(gate.slice, gate.candidate): gate for gate in report.gates}
    descents = [
        _descent(each.name, [gates.get((each.name, step.candidate)) for step in steps], steps) for each in report.slices
    ]
    return Cliff(report.reference.spec, tuple(steps), tuple(descents))


def encode_cliff(found: Cliff) -> dict[str, Any]:
    """A sweep as a JSON value."""
    value = asdict(found)
    for descent in value["descents"]:
        for cell in filter(None, descent["cells"]):
            cell["verdict"] = cell["verdict"].value
    return value


def cliff_sheet(found: Cliff) -> Sheet:
    """A sweep as a table."""
    bits = ("bits", UNDEFINED, *(f"{step.bits:g}" for step in found.steps), "")
    rows = (
        (Name(each.slice), share(each.reference_pass), *map(_cell, each.cells), Name(_fall(each)))
        for each in found.descents
    )
    return Sheet(
        title=("where the fall begins",),
        headings=("slice", Name(found.reference), *(Name(step.candidate) for step in found.steps), "it begins at"),
        rows=(bits, *rows),
        notes=(("PASS→FAIL rate and verdict: + PASS, x FAIL, ? INCONCLUSIVE; of the reference its pass rate.",),),
        words=True,
    )


def _descent(name: str, gates: Sequence[GateResult | None], steps: Sequence[Step]) -> Descent:
    verdicts = {step: gate.verdict for step, gate in zip(steps, gates, strict=True) if gate is not None}
    lowest_pass = min((step.bits for step, each in verdicts.items() if each is Verdict.PASS), default=float("inf"))
    below = [step for step in verdicts if step.bits < lowest_pass]
    begins = next((step for step in below if verdicts[step] is Verdict.FAIL), None)
    above = below if begins is None else below[: below.index(begins)]
    rates = [gate.statistics.counts.reference_pass_rate for gate in gates if gate is not None]
    return Descent(
        slice=name,
        reference_pass=next((rate for rate in rates if rate is not None), None),
        cells=tuple(
            None if gate is None else Cell(gate.statistics.counts.pass_to_fail_rate, gate.verdict) for gate in gates
        ),
        begins=begins,
        undecided=tuple(step.candidate for step in above),
        exceptions=tuple(
            step.candidate for step, each in verdicts.items() if each is Verdict.FAIL and step.bits >= lowest_pass
        ),
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return UNDEFINED
    return f"{share(cell.pass_to_fail)} {MARKS[cell.verdict]}"


def _fall(descent: Descent) -> str:
    """Words for the last column; candidates by their spec, as the headings name them."""
    if descent.begins is not None:
        perhaps = f", perhaps {descent.undecided[0]}" if descent.undecided else ""
        return f"{descent.begins.candidate}{perhaps}"
    if descent.undecided:
        return f"unknown from {descent.undecided[0]}"
    return f"none ({', '.join(descent.exceptions)} fails alone)" if descent.exceptions else "none"
