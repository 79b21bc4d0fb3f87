"""The check of CSV: csv."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.fences import NoStructureError, block_decided, structured_text
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.csv_text import CsvError, csv_rows
from pytest_quantgate.errors import nearest
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

_MARKS = ("csv", "tsv")

_TYPES: Mapping[str, re.Pattern[str]] = {
    "text": re.compile(r"(?s).*\S.*"),
    "integer": re.compile(r"[-+]?\d++", re.ASCII),
    "number": re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?", re.ASCII),
    "boolean": re.compile(r"(?i)true|false"),
    "date": re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])", re.ASCII),
}


class _BrokenTableError(ValueError):
    """Why a text is no table, as a reason."""


def csv_table(
    answer: str,
    *,
    delimiter: str = ",",
    header: Sequence[str] = (),
    columns: Mapping[str, Any] | None = None,
    rows: int | None = None,
    table: str = "",
) -> Finding:
    """The answer is CSV (RFC 4180): a header and rows, all with the same number of cells.

    Where the CSV is follows the rule of the check ``json``, with fences marked ``csv`` or ``tsv``. Cells may be quoted;
    quotes inside quoted cells are doubled; spaces belong to the cell, so ``a, b`` has the cell `` b``. Violations:
    rows of different widths, a blank line between rows, text behind a closing quote, a cell of over 131,072
    characters, and a table of one column, unless ``header``, ``columns`` or ``table`` has only one: any line of words
    is one cell.

    Args:
        answer: What a model answered.
        delimiter: One character between cells.
        header: The first line's cells, in this order.
        columns: What the cells of a column are, by its name in the header: text (not blank), integer, number, boolean
            (true or false) or date (2024-01-31). Columns that are not named may hold anything.
        rows: How many there are behind the header.
        table: The whole table, written with the same delimiter: all cells must be equal as text, quoted or not.
    """
    try:
        found = _table(structured_text(answer, _MARKS), delimiter)
        wanted = _table(table.strip(), delimiter) if table else []
    except (NoStructureError, _BrokenTableError) as problem:
        return violated(str(problem))
    width = len(found[0])
    if width == 1 and 1 not in {len(header), len(columns or ()), len(wanted[0]) if wanted else 0}:
        return violated(f"the first line has one cell, with no {quoted(delimiter)} in it")
    below = counted(len(found) - 1, "row")
    fault = (
        _header_fault(found[0], header)
        or (f"{below} below the header, not {rows}" if rows not in (None, len(found) - 1) else "")
        or _column_fault(found, columns or {})
        or _table_fault(found, wanted)
    )
    if fault:
        return violated(fault)
    return followed(f"a table of {counted(width, 'column')} and {below} below its header")


def csv_decided(so_far: str, **arguments: Any) -> bool | None:
    """False once there is a fence too many or of another format, or a closed block that is not the table."""
    return block_decided(so_far, _MARKS, partial(csv_table, **arguments))


def csv_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The delimiter can separate, types are known, and the expected table follows the other arguments."""
    delimiter = arguments.get("delimiter", ",")
    if len(delimiter) != 1 or delimiter in '"\r\n ' or not delimiter.isascii():
        yield "argument 'delimiter' must be one ASCII character, and no quote, space or line break"
        return
    header, columns = arguments.get("header", ()), arguments.get("columns") or {}
    for name, kind in columns.items():
        if not isinstance(kind, str) or kind not in _TYPES:
            shown = kind if isinstance(kind, str) else type(kind).__name__
            yield f"argument 'columns' gives {quoted(name)} the unknown type {quoted(shown)}; {nearest(shown, _TYPES)}"
        if header and name not in header:
            yield f"argument 'columns' names {quoted(name)}, which 'header' does not have"
    if arguments.get("rows", 0) < 0:
        yield "argument 'rows' must not be below zero"
    if arguments.get("table"):
        example = {name: value for name, value in arguments.items() if name != "table"}
        found = csv_table(arguments["table"], **example, table=arguments["table"])
        if not found.followed:
            yield f"argument 'table' does not follow this check itself: {found.reason}"


def _table(text: str, delimiter: str) -> list[list[str]]:
    """The rows of cells.

    Raises:
        _BrokenTableError: It is no CSV, or its rows differ in width.
    """
    rows: list[list[str]] = []
    width = 0
    try:
        for line, row in csv_rows(text, delimiter=delimiter, newline="\n"):
            width = width or len(row)
            if len(row) != width or not row:
                what = f"{len(row)} cells, {width} expected" if row else "a blank line"
                msg = f"line {line}: {what}"
                raise _BrokenTableError(msg)
            rows.append(row)
    except CsvError as error:
        msg = f"not CSV: line {error.line}: {error}"
        raise _BrokenTableError(msg) from None
    return rows


def _header_fault(found: Sequence[str], wanted: Sequence[str]) -> str:
    if not wanted or list(found) == list(wanted):
        return ""
    return f"the header is {quoted(' | '.join(found))}, not {quoted(' | '.join(wanted))}"


def _column_fault(table: Sequence[Sequence[str]], columns: Mapping[str, str]) -> str:
    for name, kind in columns.items():
        if table[0].count(name) != 1:
            return f"the header has {'no' if name not in table[0] else 'more than one'} column {quoted(name)}"
        place = table[0].index(name)
        for number, row in enumerate(table[1:], start=1):
            if not _TYPES[kind].fullmatch(row[place]):
                return f"row {number}: {quoted(row[place])} in the column {quoted(name)} is no {kind}"
    return ""


def _table_fault(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> str:
    if not wanted:
        return ""
    if len(found) != len(wanted) or len(found[0]) != len(wanted[0]):
        there = f"{counted(len(found), 'line')} of {counted(len(found[0]), 'cell')}"
        return f"{there}, not {counted(len(wanted), 'line')} of {len(wanted[0])}"
    for number, (row, other) in enumerate(zip(found, wanted, strict=True)):
        for cell, expected in zip(row, other, strict=True):
            if cell != expected:
                place = f"row {number}" if number else "header"
                return f"{place}: {quoted(cell)}, not {quoted(expected)}"
    return ""


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("csv", csv_table, shorthand="table", validate=csv_problems, decided=csv_decided)
