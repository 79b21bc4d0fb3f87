"""`quantgate calibrate`: asks people about a run's answers, and says how well its checks agree with them."""

from __future__ import annotations

import shlex
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.calibration import calibrations
from pytest_quantgate.commands.label_draw import checks_asked, draw, questions_of
from pytest_quantgate.commands.label_files import labels_to_keep
from pytest_quantgate.commands.label_sheet import read_sheet, write_sheet
from pytest_quantgate.commands.label_tables import head, sheets
from pytest_quantgate.errors import UsageError
from pytest_quantgate.golden.labels import label_of, load_labels, write_labels
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import visible
from pytest_quantgate.report.encoding import dump
from pytest_quantgate.report.store import load
from pytest_quantgate.report.tables import drawn, markdown, plain
from pytest_quantgate.report.terminal import NARROWEST
from pytest_quantgate.report.text import draw as render
from pytest_quantgate.report.text import indented

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from pytest_quantgate.golden.labels import Label
    from pytest_quantgate.report.model import RunReport

FORMAT: Final = "pytest-quantgate calibration"
SCHEMA_VERSION: Final = 1

FEWEST: Final = 2
"""A case has two answers."""


def draw_sheet(
    run: Path, sheet: Path, *, sample: int, seed: int, slices: Sequence[str] = (), checks: Sequence[str] = ()
) -> str:
    """Draw a sample of a run's answers into a sheet to label.

    Args:
        run: A stored run.
        sheet: The file to write.
        sample: Rows at most.
        seed: Of the draw and of the rows' order.
        slices: Names of the slices to draw from; all when empty.
        checks: Names of the checks to ask about; those that read what an answer means when empty.

    Returns:
        What was written, and what to do with it.

    Raises:
        QuantgateError: The run cannot be read, or the sheet not be written.
        UsageError: There is nothing to ask, or an option cannot be right.
    """
    if sample < FEWEST:
        raise UsageError(f"too few rows: {sample}", where="--sample", hint="a case has two answers: give 2 or more")
    report = load(run)
    asked, others = checks_asked(report, slices, checks)
    with _not_too_deep(run):
        questions = draw(report, most=sample, seed=seed, slices=slices, checks=asked)
    if not questions:
        raise UsageError("no answer could be asked about", where=str(run), hint="name other slices or checks")
    write_sheet(questions, sheet, builtin_registry())
    lines = [f"{sheet}: {counted(len(questions), 'answer')} to label, of the checks {', '.join(asked)}"]
    if others and not checks:
        lines.append(f"  not asked about, name them with --check for that: {', '.join(others)}")
    words = ["quantgate", "calibrate", str(run), "--labels", str(sheet)]
    lines += [
        "  write yes in the column 'label' where the answer does what 'asks' says, no where it does not;",
        "  leave it empty where you cannot tell; nothing in the sheet says which model answered",
        f"  then: {shlex.join(words)}",
    ]
    return visible("\n".join(lines), keep="\n")


def calibrate(
    run: Path, sheet: Path, *, keep: bool, form: Literal["terminal", "markdown", "json"], width: int, color: bool
) -> str:
    """Read a sheet back, and say how well each check agrees with it.

    Args:
        run: The stored run that the sheet was drawn from.
        sheet: The sheet, filled in.
        keep: Whether the labels are written beside the goldens, where gates with ``min_grader_agreement`` read them.
        form: ``terminal``, ``markdown`` or ``json`` (sorted keys, versioned).
        width: Columns to fill, for a terminal.
        color: Whether to colour with ANSI escapes, for a terminal.

    Raises:
        FileError: With every mistake in the sheet, or in labels that are kept already.
        QuantgateError: The run cannot be read, or labels not be written.
    """
    report = load(run)
    with _not_too_deep(run):
        questions = questions_of(report)
    said = read_sheet(sheet, questions)
    labels = [
        (questions[row].slice, label_of(questions[row].case_id, questions[row].graded, yes=each.label, note=each.note))
        for row, each in said.items()
    ]
    kept = list(_keep(report, labels)) if keep else []
    found = calibrations(report, labels)
    if form == "json":
        rows = [asdict(each) for each in found]
        value = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "run": str(run), "labels": str(sheet)}
        return dump({**value, "kept": kept, "checks": rows}, indent=1) + "\n"
    title = head(report, str(run), str(sheet), said, kept)
    pages = list(sheets(report, found))
    if form == "markdown":
        return markdown(title, pages)
    width = max(width, NARROWEST)
    parts: list[RenderableType] = []
    for line in title:
        parts += indented(plain(line), width, rest="   ")
    parts.append("")
    for page in pages:
        parts += drawn(page, width)
    return render(parts, color=color)


def _keep(report: RunReport, labels: Sequence[tuple[str, Label]]) -> Iterator[str]:
    """Write the labels slice by slice, a later one in the place of an earlier one; every file is found and read first.

    Yields:
        What was written, one line for each file.
    """
    records = {each.name: each for each in report.slices}
    fresh: defaultdict[str, dict[str, Label]] = defaultdict(dict)
    for slice_name, label in labels:
        fresh[slice_name][label.key] = label
    books = [load_labels(labels_to_keep(records[name]), name) for name in fresh]
    for book in books:
        added = fresh[book.slice]
        write_labels(replace(book, labels={**book.labels, **added}))
        changed = sum(key in book.labels and book.labels[key].yes is not label.yes for key, label in added.items())
        new = len(added.keys() - book.labels.keys())
        whole = len(book.labels.keys() | added.keys())
        yield f"{book.path}: {counted(new, 'label')} added, {changed} changed, {whole} in all"


@contextmanager
def _not_too_deep(run: Path) -> Iterator[None]:
    """Refuse a report that nests the arguments of a check so deeply that nothing can be computed of them."""
    try:
        yield
    except RecursionError:
        raise UsageError("the arguments of a check are nested too deeply", where=str(run)) from None
