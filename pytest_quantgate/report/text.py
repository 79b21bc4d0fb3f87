"""Untrusted text on a terminal: nothing in it may act on the terminal or hide from its reader."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from pytest_quantgate.printable import no_command, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType


WIDEST = 10_000
"""Columns that rich may fill, more than any line has."""


def wrap(text: str, width: int) -> list[str]:
    """The lines of ``visible`` text, wrapped at words to ``width`` terminal cells; long words are cut."""
    console = _console(StringIO(), width, color=False)
    return [
        piece.plain.rstrip()
        for line in visible(text, keep="\n").split("\n")
        for piece in Text(line).wrap(console, width, tab_size=1) or [Text()]
    ]


def indented(text: str, width: int, *, first: str = "", rest: str | None = None) -> list[str]:
    """The lines of ``wrap`` behind a prefix: ``first`` on the first line, ``rest`` on the others."""
    after = " " * len(first) if rest is None else rest
    lines = wrap(text, width - max(len(first), len(after)))
    return [f"{after if number else first}{line}" for number, line in enumerate(lines)]


def draw(parts: Iterable[RenderableType], *, color: bool) -> str:
    """Render lines and tables with rich to plain text, or to text with ANSI colours.

    Lines are printed as they are, without rich's markup, emoji codes or wrapping: whoever makes them
    wraps them, and knows which must stay whole. Trailing spaces are stripped, and what a log's reader would obey
    (``::error::``, ``##[error]``) is written so that it does not.
    """
    page = StringIO()
    console = _console(page, WIDEST, color=color)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, (str, Text)))
    return "".join(f"{no_command(line.rstrip())}\n" for line in page.getvalue().split("\n")[:-1])


def _console(page: StringIO, width: int, *, color: bool) -> Console:
    return Console(
        file=page,
        width=width,
        height=100,  # any number: with both sizes given, rich never asks the terminal
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
