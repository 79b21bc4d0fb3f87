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
    "limit on",
    "at most",
    "sees",
    "to pass\nat none",
    "to pass\nat half",
    "decidable",
)

NEVER: Final = "never"

LEGEND: Final = (
    "worth: of how many cases of their own, where those of a cluster may be wholly alike; limit on: the share whose "
    "limit takes the most cases; sees: the smallest true one above it that FAILs in 4 of 5 runs; to pass: the cases "
    "that a PASS takes when none degrades, and in 4 of 5 runs when half of what the limit allows do"
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
    parts: list[RenderableType] = [table, "", *indented(LEGEND, width)]
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
        word,
        percent_limit(row.bound),
        NEVER if row.resolves is None else percent(row.resolves, limit=row.bound),
        _count(row.needed),
        _count(row.needed_at_half),
        "yes" if row.problem is None else "no",
    )


def _count(number: int | None) -> str:
    return NEVER if number is None else f"{number:,}"
