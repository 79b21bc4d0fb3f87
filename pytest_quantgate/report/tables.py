"""Tables that a terminal and Markdown both show: one value, two ways to draw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.printable import visible
from pytest_quantgate.report.inert import code
from pytest_quantgate.report.text import indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Table

NARROWEST_NAME: Final = 8
"""Columns that the first column has at least."""

WIDEST_HEADING: Final = 14
"""Columns after which a name that heads a column goes on in the next line."""

WIDEST_WORDS: Final = 24
"""Columns after which the last column goes on in the next line, where it is text."""

PAGE: Final = 60_000
"""Characters of a Markdown page: GitHub takes 65,536 for a comment."""

_LEFT_OUT: Final = "{} more rows are left out here; JSON has them all."
_NO_ROOM: Final = "\nThere is no room here for some tables; JSON has them.\n"


class Name(str):
    """Text from outside: a slice, a spec, a file. Where text is markup, it is shown and never obeyed."""

    __slots__ = ()


Line = tuple[str, ...]
"""Pieces of one line, names among them."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with what must be said about it.

    Attributes:
        title: Stands above it.
        headings: One per column; a line break in one that is no name starts a new line on a terminal.
        rows: As many cells each as there are headings. The first column is text, the others are figures.
        notes: Lines below it; a table without rows is only its notes.
        words: Whether the last column is text too.
    """

    title: Line
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[Line, ...] = ()
    words: bool = False


def drawn(sheet: Sheet, width: int) -> Iterator[RenderableType]:
    """A sheet for a terminal, an empty line at its end."""
    from rich.text import Text

    for line in wrap(plain(sheet.title), width):
        yield Text(line, style="bold")
    if sheet.rows:
        yield ruled(sheet.headings, sheet.rows, width, words=sheet.words)
    for note in sheet.notes:
        yield from indented(plain(note), width, first="  ")
    yield ""


def plain(line: Line) -> str:
    """One line for a terminal: a name cannot break it."""
    return "".join(visible(piece) if isinstance(piece, Name) else piece for piece in line)


def ruled(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    words: bool = False,
    styles: Sequence[str] = (),
) -> Table:
    """A rich table: names wrapped into what the figures leave, figures never cut, so that a row may grow too wide.

    Args:
        headings: One per column.
        rows: Their cells; the first one is a name.
        width: Columns to fill.
        words: Whether the last column is aligned as text.
        styles: Style of the last cell of each row; empty for none.
    """
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    shown = [[_heading(each) for each in headings], *([visible(cell) for cell in row] for row in rows)]
    if words:
        shown = [[*cells, "\n".join(wrap(last, WIDEST_WORDS))] for *cells, last in shown]
    columns = list(zip(*shown, strict=True))
    taken = sum(1 + max(len(line) for cell in column for line in cell.split("\n")) for column in columns[1:])
    room = max(NARROWEST_NAME, width - taken)
    # a rule under the heading and nothing else, in ASCII: it survives any log and any font
    box = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
    table = Table(box=box, show_edge=False, pad_edge=False, padding=0, header_style="")
    for number, heading in enumerate(shown[0]):
        text = number == 0 or (words and number == len(headings) - 1)
        table.add_column(heading, justify="left" if text else "right")
    for number, (name, *cells, last) in enumerate(shown[1:]):
        style = styles[number] if styles else ""
        table.add_row("\n".join(wrap(name, room)), *cells, Text(last, style=style))
    return table


def _heading(heading: str) -> str:
    if not isinstance(heading, Name):
        return heading
    text = visible(heading)
    if len(text) > WIDEST_HEADING:  # a spec is broken between its options where it can be
        text = text.replace(",", ", ")
    return "\n".join(wrap(text, WIDEST_HEADING))


def markdown(head: Sequence[Line], sheets: Sequence[Sheet]) -> str:
    """Lines and sheets as GitHub's Markdown, at most ``PAGE`` characters: what does not fit is told."""
    parts = ["\n".join(f"{line}  " for line in map(inline, head)).rstrip() + "\n"]
    room = PAGE - len(parts[0]) - len(_NO_ROOM)
    for sheet in sheets:
        part = section(sheet, room)
        room -= len(part)
        parts.append(part)
    return "".join(parts) + (_NO_ROOM if "" in parts else "")


def inline(line: Line) -> str:
    """One line, its names in code spans."""
    return "".join(code(piece) if isinstance(piece, Name) else piece for piece in line)


def section(sheet: Sheet, room: int) -> str:
    """A sheet with as many rows as there is room for, in characters; nothing when not even its head fits."""
    lines = ["", f"### {inline(sheet.title)}"]
    notes = [f"\n{inline(note)}\n" for note in sheet.notes]
    if sheet.rows:
        lines.append("")
        lines.append(_row([each if isinstance(each, Name) else _unbroken(each) for each in sheet.headings]))
        last = len(sheet.headings) - 1
        lines.append(_row([":--" if not at or (sheet.words and at == last) else "--:" for at in range(last + 1)]))
    room -= sum(map(len, lines)) + sum(map(len, notes)) + len(lines) + len(_LEFT_OUT) + 20
    if room < 0:
        return ""
    left = len(sheet.rows)
    for row in map(_row, sheet.rows):
        room -= len(row) + 1
        if room < 0:
            notes.append(f"\n{_LEFT_OUT.format(left)}\n")
            break
        lines.append(row)
        left -= 1
    return "\n".join(lines) + "\n" + "".join(notes)


def _unbroken(heading: str) -> str:
    """A heading on one line: what a hyphen divides is one word again."""
    return heading.replace("-\n", "").replace("\n", " ")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(code(cell) if isinstance(cell, Name) else cell for cell in cells) + " |"
