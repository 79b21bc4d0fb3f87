"""The sheet that people label: CSV for any spreadsheet, which knows neither the variant nor the grader's verdict."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.json_lines import MOST_BAD
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.csv_text import CsvError, csv_rows
from pytest_quantgate.errors import FileError, QuantgateError, UsageError, nearest
from pytest_quantgate.printable import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_quantgate.cases.model import Case, CheckSpec
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.commands.label_draw import Question

COLUMNS: Final = ("row", "slice", "prompt", "asks", "answer", "label", "note")
NEEDED: Final = ("row", "label")
LABELS: Final = {"yes": True, "no": False}

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of the largest sheet that is read."""

LONGEST_NOTE: Final = 2_000
"""Characters of a note that are kept."""

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four of full width
_HIDDEN_FORMULA: Final = re.compile(rf'(?<=[\n\t;])([ "]*)(?=[{re.escape("".join(_FORMULA))}][^\n\t;]*[(|])')
"""What becomes a cell of its own, and calls something, where a spreadsheet of another country takes semicolons or tabs
for what parts cells: it then takes no notice of our quotes."""

_DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Said:
    """What people wrote in one row.

    Attributes:
        label: Whether the answer does what the check asks.
        note: What they had to say about it.
    """

    label: bool
    note: str


def write_sheet(questions: Sequence[Question], path: Path, registry: CheckRegistry) -> None:
    """Write a sheet; one that is there is never overwritten, since somebody may have filled it in.

    Args:
        questions: Its rows, in order.
        path: The file.
        registry: Says in words what checks ask.

    Raises:
        UsageError: The file is there already.
        QuantgateError: It cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in questions:
        one = each.graded
        cells = (each.slice, prompt_of(one.case), asks(one.check, registry), one.text)
        writer.writerow([each.row, *map(inert, cells), "", ""])
    try:
        # with a mark at its beginning, without which spreadsheets take UTF-8 for something older
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            try:
                file.write(text.getvalue())
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        hint = "name another file; labels that somebody filled in would be lost"
        raise UsageError("is there already", where=str(path), hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise QuantgateError(f"the sheet cannot be written: {reason}", where=str(path)) from None


def inert(text: str) -> str:
    """Text as a cell that no spreadsheet computes, control characters made visible."""
    shown = _HIDDEN_FORMULA.sub(r"\1'", visible(text, keep="\n\t"))
    return f"'{shown}" if shown.lstrip()[:1] in _FORMULA or shown[:1] in ("\t", "\n") else shown


def prompt_of(case: Case) -> str:
    """The whole chat as people read it; the text alone where there is one message."""
    parts: list[tuple[str, str]] = [(message.role, message.content) for message in case.messages]
    if case.answer_prefix:
        parts.append(("the answer goes on from", case.answer_prefix))
    if len(parts) == 1:
        return parts[0][1]
    return "\n\n".join(f"[{role}]\n{content}" for role, content in parts)


def asks(spec: CheckSpec, registry: CheckRegistry) -> str:
    """What a check asks, in words: its name, what its documentation begins with, and its arguments."""
    known = registry.get(spec.name)
    told = known.documentation.partition("\n")[0].replace("``", "`").rstrip(".") if known else ""
    lines = [f"{spec.name}: {told}" if told else spec.name]
    for name, value in sorted(spec.arguments.items()):
        shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
        lines.append(f"{name}: {shown}")
    return "\n".join(lines)


def read_sheet(path: Path, questions: Mapping[str, Question]) -> dict[str, Said]:
    """Read what people labelled; rows without a label are left out.

    Columns may stand in any order and others beside them; commas, semicolons and tabs may part them, and any line
    ends. Rows are known by their name alone: whatever a spreadsheet did to the texts does no harm.

    Args:
        path: The file.
        questions: What could be asked about the run, by row.

    Returns:
        What was said, by row, in the sheet's order.

    Raises:
        UsageError: The file cannot be read.
        FileError: With everything that is wrong with it.
    """
    problems = Problems(str(path))
    rows = _rows(_text(path), problems)
    _, head = next(rows, (1, []))
    places = _places(head, problems)
    reader = _Reader(places, questions, problems)
    for line, cells in rows if places else ():
        if len(problems) >= MOST_BAD:
            problems.add(line, f"{MOST_BAD:,} problems: the rows behind this one are not looked at")
            break
        reader.read(line, cells)
    if not problems and not reader.said:
        problems.add(1, "no row has a label: write yes or no in the column 'label'")
    if problems:
        raise FileError(problems.found())
    return reader.said


class _Reader:
    """Reads the rows of one sheet.

    Args:
        places: Where each column stands.
        questions: What could be asked about the run, by row.
        problems: Where everything that is wrong is noted.

    Attributes:
        said: What was read so far, by row.
    """

    def __init__(self, places: Mapping[str, int], questions: Mapping[str, Question], problems: Problems) -> None:
        self._places = places
        self._questions = questions
        self._problems = problems
        self._lines: dict[str, int] = {}
        self.said: dict[str, Said] = {}

    def read(self, line: int, cells: Sequence[str]) -> None:
        """Read one row; one that is blank says nothing."""
        row, label = self._cell(cells, "row"), self._cell(cells, "label")
        if not any(each.strip() for each in cells):
            return
        if not row:
            self._problems.add(
                line, "the row has no name in the column 'row': copy it from the sheet as it was written"
            )
            return
        if row in self._lines:
            self._problems.add(line, f"row {quoted(row)} stands here again: line {self._lines[row]} has it")
            return
        self._lines[row] = line
        if row not in self._questions:
            what = "is no row about an answer of this run: was the sheet drawn from another one?"
            self._problems.add(line, f"{quoted(row)} {what}")
        elif label.lower() in LABELS:
            self.said[row] = Said(LABELS[label.lower()], self._cell(cells, "note")[:LONGEST_NOTE])
        elif label:
            hint = nearest(label[:20].lower(), LABELS)
            self._problems.add(line, f"unknown label {quoted(label)} in row {row}; {hint}")

    def _cell(self, cells: Sequence[str], column: str) -> str:
        place = self._places.get(column, len(cells))
        return cells[place].strip() if place < len(cells) else ""


def _text(path: Path) -> str:
    hint = "name a sheet that `quantgate calibrate RUN.json --sheet` wrote"
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot be read: {reason}", where=str(path), hint=hint) from None
    if len(data) > LARGEST:
        raise UsageError(f"larger than {LARGEST // 2**20} MiB", where=str(path), hint=hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8: byte 0x{data[error.start]:02x}"
        raise UsageError(what, where=f"{path}:{line}", hint="save it as CSV in UTF-8") from None


def _rows(text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line that it begins on."""
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        for line, cells in csv_rows(text, delimiter=delimiter):
            if cells or line == 1:
                yield line, cells
    except CsvError as error:
        problems.add(error.line, f"no CSV from here on: {error}")


def _places(head: Sequence[str], problems: Problems) -> dict[str, int]:
    """Where each column stands; empty where one that is needed does not, which is noted."""
    names = [name.strip().lower() for name in head]
    for name in COLUMNS:
        if names.count(name) > 1:
            problems.add(1, f"the column {name!r} stands in it {names.count(name)} times")
    for name in NEEDED:
        if name not in names:
            shown = ", ".join(map(quoted, head[:20])) or "nothing"
            problems.add(1, f"the first line must name the column {name!r}; it has {shown}")
    return {} if problems else {name: names.index(name) for name in COLUMNS if name in names}
