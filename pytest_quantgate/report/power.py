"""What the gates of some slices can prove with the cases they have, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.wording import percent, percent_limit
from pytest_quantgate.report.tables import ruled
from pytest_quantgate.report.text import draw, indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from pytest_quantgate.gate.power import PowerRow

HEADINGS: Final = (
    "slice",
    "rule",
    "cases",
    "worth",
    "strictest limit",
    "sees",
    "to pass\nat none",
    "to pass\nat half",
    "decides",
)

NEVER: Final = "never"

LEGEND: Final = (
    "worth: independent cases, if those that share a cluster are wholly alike",
    "strictest limit: the one that takes the most cases to be proven to be kept",
    "sees: the smallest true share above it that FAILs in 4 of 5 runs",
    "to pass at none: cases that a PASS takes when none degrades",
    "to pass at half: the same when half of the limit degrades, in 4 of 5 runs",
    "decides: whether the cases suffice for any verdict",
)

_WORDS: Final = {"max_pass_to_fail": "PASS→FAIL", "min_robustness": "1 - R", "max_cluster_pass_to_fail": "clusters"}


def power_table(rows: Sequence[PowerRow], *, width: int, color: bool) -> str:
    """A row for each slice, what the columns mean, and why slices that can reach no verdict cannot.

    Args:
        rows: What ``gate.power.power_rows`` gave.
        width: Columns to fill.
        color: Whether to colour with ANSI escapes.
    """
    styles = ["green" if row.problem is None else "bold red" for row in rows]
    table = ruled(HEADINGS, [power_cells(row) for row in rows], width, words=True, styles=styles)
    parts: list[RenderableType] = [table, "", *(line for each in LEGEND for line in indented(each, width, first="  "))]
    for row in rows:
        if row.problem is not None:
            parts += indented(f"{row.slice}: {row.problem}", width, rest="  ")
    return draw(parts, color=color)


def power_cells(row: PowerRow) -> tuple[str, ...]:
    """The cells of one slice, in the order of ``HEADINGS``."""
    word = _WORDS.get(row.limit, row.limit.removeprefix("max_").replace("_", " "))
    return (
        row.slice,
        row.rule,
        str(row.cases),
        f"{row.effective:.0f}",
        f"{word} {percent_limit(row.bound)}",
        NEVER if row.resolves is None else percent(row.resolves, limit=row.bound),
        _count(row.needed),
        _count(row.needed_at_half),
        "yes" if row.problem is None else "no",
    )


def _count(number: int | None) -> str:
    return NEVER if number is None else f"{number:,}"
