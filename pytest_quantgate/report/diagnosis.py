"""What the terminal and Markdown tell of diagnoses: the verdict, what it rests on, and the repair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from pytest_quantgate.diagnosis.model import Mode
from pytest_quantgate.report.diagnosis_sentences import (
    carrying,
    counted,
    domino,
    looked_at,
    repair_command,
    repair_lines,
    token,
)
from pytest_quantgate.report.diagnosis_sheets import evidence_sheet, trials_sheet, values_sheet
from pytest_quantgate.report.inert import code, fenced, told
from pytest_quantgate.report.tables import drawn
from pytest_quantgate.report.text import draw, indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from pytest_quantgate.diagnosis.model import Diagnosis
    from pytest_quantgate.report.model import RunReport

SHOWN: Final = 3
"""Pieces of evidence, and notes, that are told unless everything is asked for."""

_STYLES: Final = {Mode.DEGRADATION: "bold yellow", Mode.COLLAPSE: "bold red"}


def diagnosis_text(report: RunReport, diagnosis: Diagnosis, *, width: int, color: bool, verbose: bool = False) -> str:
    """One diagnosis as text for a terminal or a log.

    Args:
        report: The run that it belongs to.
        diagnosis: The diagnosis.
        width: Columns to fill; only command lines may be longer, so that they can be copied.
        color: Whether to colour with ANSI escapes.
        verbose: Whether to add every criterion, number and trial.
    """
    return draw(_lines(report, diagnosis, width, verbose=verbose), color=color)


def diagnosis_lines(report: RunReport, width: int, *, verbose: bool) -> Iterator[RenderableType]:
    """The diagnoses of a run; nothing where there is none."""
    for diagnosis in report.diagnoses:
        yield from _lines(report, diagnosis, width, verbose=verbose)


def diagnosis_blocks(report: RunReport) -> Iterator[str]:
    """Each diagnosis as a block of Markdown."""
    for diagnosis in report.diagnoses:
        head = f"- **{diagnosis.mode.value}** {code(diagnosis.slice)} on {code(diagnosis.candidate)}"
        lines = (f"  - {told(sentence)}" for _, sentence in _sentences(diagnosis, report.base_command, SHOWN))
        block = "\n".join([head, *lines]) + "\n"
        command = repair_command(report.base_command, diagnosis)
        yield block if command is None else f"{block}\n{fenced(command, 'sh')}"


def _lines(report: RunReport, diagnosis: Diagnosis, width: int, *, verbose: bool) -> Iterator[RenderableType]:
    for line in wrap(f"diagnosis of {diagnosis.slice} on {diagnosis.candidate}: {diagnosis.mode.value}", width):
        yield Text(line, style=_STYLES.get(diagnosis.mode, "bold"))
    for mark, sentence in _sentences(diagnosis, report.base_command, None if verbose else SHOWN):
        yield from indented(sentence, width, first=f"  {mark}", rest="    ")
    if (command := repair_command(report.base_command, diagnosis)) is not None:
        yield Text(f"    {command}", style="cyan")
    yield ""
    if verbose:
        sheets = [evidence_sheet(diagnosis), values_sheet(diagnosis)]
        sheets += [] if diagnosis.repair is None else [trials_sheet(diagnosis.repair)]
        for sheet in sheets:
            yield from drawn(sheet, width)


def _sentences(diagnosis: Diagnosis, base_command: Sequence[str], most: int | None) -> Iterator[tuple[str, str]]:
    """What is told, each behind its mark: at most so many pieces of evidence and notes, the repair at last."""
    yield "", looked_at(diagnosis)
    yield "", counted(diagnosis)
    yield from (("- ", each.reason) for each in carrying(diagnosis)[:most])
    yield from (("", sentence) for sentence in (token(diagnosis), domino(diagnosis)) if sentence is not None)
    yield from (("", f"note: {note}") for note in diagnosis.notes[:most])
    if most is not None and len(diagnosis.notes) > most:
        yield "", f"more notes in the report: {len(diagnosis.notes) - most}"
    for place, line in enumerate(repair_lines(diagnosis, base_command)):
        yield "", line if place else f"repair: {line}"
