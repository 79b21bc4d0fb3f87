"""Comma- and tab-separated tables, read with whether each field was in quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry
from pytest_quantgate.plural import counted

_SPECIAL = re.compile(r"[^\w\s]")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    Attributes:
        text: What it holds, without quotes and white space around it.
        is_quoted: Whether it stood in double quotes.
    """

    text: str
    is_quoted: bool


def read_table(text: str, delimiter: str) -> list[list[Field]] | str:
    """The rows of a table, blank lines left out; or what is wrong with it.

    A quoted field may hold the delimiter, line breaks and doubled quotes; only white space may stand between its
    quotes and a delimiter. A quote inside a field that does not begin with one is a character like others.
    """
    field = re.compile(
        rf'[^\S\n{delimiter}]*+(?:"(?P<quoted>(?:[^"]++|"")*+)"(?P<behind>[^{delimiter}\n]*+)|(?P<bare>[^{delimiter}\n]*+))'
    )
    rows: list[list[Field]] = []
    row: list[Field] = []
    place = 0
    while place <= len(text):
        found = field.match(text, place)
        if found is None:  # cannot be: a bare field may be empty
            return "it cannot be read"
        if found["quoted"] is None:
            row.append(Field(found["bare"].strip(), is_quoted=False))
        elif found["behind"].strip():
            return f"text stands behind a quoted field: {quoted(found['behind'].strip(), 40)}"
        else:
            row.append(Field(found["quoted"].replace('""', '"').strip(), is_quoted=True))
        place = found.end()
        if text[place : place + 1] != delimiter:
            if len(row) > 1 or row[0].text or row[0].is_quoted:
                rows.append(row)
            row = []
        place += 1
    return rows


def _judged(answer: str, columns: tuple[str, ...], count: int, delimiter: str = ",") -> list[list[Field]] | str:
    """The table's rows with its header, or what is wrong with them."""
    rows = read_table(answer.strip(" \r\n"), delimiter)
    if isinstance(rows, str):
        return rows
    header = tuple(field.text for field in rows[0]) if rows else ()
    if header != columns:
        return f"the header is {quoted(delimiter.join(header))}"
    if len(rows) - 1 != count:
        return f"{counted(len(rows) - 1, 'row')}, {count} asked for"
    for place, row in enumerate(rows[1:], start=1):
        if len(row) != len(columns):
            return f"row {place} has {counted(len(row), 'field')}, the header {len(columns)}"
    return rows


def csv_city(answer: str) -> Finding:
    """The answer is a comma-separated table: the asked-for header, and seven rows of five fields."""
    rows = _judged(answer, ("ID", "Country", "City", "Year", "Count"), 7)
    return violated(rows) if isinstance(rows, str) else followed("a table of 7 rows")


def csv_special_character(answer: str) -> Finding:
    """The answer is a comma-separated table: the asked-for header, 14 rows of five fields, and in one of them quotes.

    At least one field below the header is in double quotes and holds a character that is no letter, digit,
    underscore or white space.
    """
    rows = _judged(answer, ("ProductID", "Category", "Brand", "Price", "Stock"), 14)
    if isinstance(rows, str):
        return violated(rows)
    for row in rows[1:]:
        for field in row:
            if field.is_quoted and _SPECIAL.search(field.text):
                return followed(f"a table of 14 rows, with {quoted(field.text)} in quotes")
    return violated("no field in quotes has a special character")


def csv_quotes(answer: str) -> Finding:
    """The answer is a tab-separated table: the asked-for header, three rows of five fields, and all in quotes.

    The fields of the header too.
    """
    rows = _judged(answer, ("StudentID", "Subject", "Grade", "Semester", "Score"), 3, "\t")
    if isinstance(rows, str):
        return violated(rows)
    bare = [field.text for row in rows for field in row if not field.is_quoted]
    return violated(f"{quoted(bare[0])} is not in quotes") if bare else followed("a table of 3 rows, all in quotes")


ENTRIES = (
    Entry("custom:csv_city", csv_city),
    Entry("custom:csv_special_character", csv_special_character),
    Entry("custom:csv_quotes", csv_quotes),
)
