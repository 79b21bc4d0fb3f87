"""The charts of the page, drawn by matplotlib: rates against limits, pairs, the cliff, and where answers part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.html.svg import COLOURS, drawing, themed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Role = Literal["ink", "pass", "fail", "doubt"]

ROLES: Final[dict[Verdict, Role]] = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "doubt"}
_MARKERS: Final = {"ink": "o", "pass": "o", "fail": "X", "doubt": "D"}
_SIZES: Final = {"ink": 8, "pass": 9, "fail": 11, "doubt": 8}

# sizes in units of the drawing, which are pixels where a chart has its full width
WIDTH: Final = 412
_LEFT: Final = 134
_RIGHT: Final = 116
_ROW: Final = 25
_AXIS: Final = 26
_TOP: Final = 4
PLOT: Final = 190
_TEXT: Final = 12
SMALL: Final = 11
_APART: Final = 15  # between labels at the ends of lines
_STEP: Final = 15  # between rows of names under an axis
_ABREAST: Final = 3  # names that have room in one row

_LEAST_SCALE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a chart of rates.

    Attributes:
        label: Stands at its left.
        value: A share; None where it is not defined.
        low: Lower end of its interval; None without one.
        high: Upper end.
        told: Stands at its right.
        role: Colour and shape.
        limit: A mark across the row; None for none.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    told: str
    role: Role = "ink"
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of a chart of changes: from a hollow mark to a full one."""

    label: str
    before: float
    after: float
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart, named at its end.

    Attributes:
        label: Stands at its end.
        points: Where it goes, as (x, y).
        role: Its colour.
        marks: A verdict for each point; empty for none.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    role: Role = "ink"
    marks: tuple[Verdict, ...] = ()


def scale_of(rows: Sequence[Dot]) -> float:
    """Where the axis ends that has room for all rows; charts that stand side by side share it."""
    ends = [end for row in rows for end in (row.value, row.high, row.limit) if end is not None]
    return min(1.0, max([_LEAST_SCALE, *(1.04 * end for end in ends)]))


def dots(rows: Sequence[Dot], *, title: str, end: float | None = None) -> Markup:
    """Rates with their intervals, one row each, against their limits.

    Args:
        rows: At least one.
        title: What a screen reader says.
        end: Where the axis ends; by the rows when None.
    """
    with drawing():
        figure, axes = _rows(len(rows), end or scale_of(rows))
        labels = []
        for place, row in enumerate(rows):
            labels += [row.label, row.told]
            _name(axes, place, len(rows))
            colour = COLOURS[row.role]
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            if row.limit is not None:
                axes.plot([row.limit] * 2, [place - 0.36, place + 0.36], color=COLOURS["ink"], linewidth=2)
            if row.value is not None:
                _mark(axes, row.value, place, row.role)
        return themed(figure, labels, title=title)


def pairs(rows: Sequence[Pair], *, title: str) -> Markup:
    """Shares of the reference (hollow) and of the candidate (full), one row each."""
    with drawing():
        figure, axes = _rows(len(rows), min(1.0, max(_LEAST_SCALE, *(1.04 * max(r.before, r.after) for r in rows))))
        labels = []
        for place, row in enumerate(rows):
            labels += [row.label, row.told]
            _name(axes, place, len(rows))
            axes.plot([row.before, row.after], [place, place], color=COLOURS["soft"], linewidth=2)
            axes.plot(
                [row.before], [place], "o", markersize=8, markerfacecolor=COLOURS["paper"],
                markeredgecolor=COLOURS["ink"], markeredgewidth=1.5, clip_on=False,
            )  # fmt: skip
            axes.plot([row.after], [place], "o", markersize=6, color=COLOURS["ink"], clip_on=False)
        return themed(figure, labels, title=title)


def falls(lines: Sequence[Line], steps: Sequence[str], *, title: str) -> Markup:
    """A rate of each slice over the steps of a sweep.

    Args:
        lines: One per slice; x is the number of the step.
        steps: What stands under each step.
        title: What a screen reader says.
    """
    with drawing():
        top = max([_LEAST_SCALE, *(1.08 * y for line in lines for _, y in line.points)])
        figure, axes = plot(max(PLOT, _APART * len(lines)), left=48, below=42)
        axes.set_xlim(-0.15, len(steps) - 0.9)
        axes.set_ylim(0, min(1.0, top))
        names = [line.label for line in lines]
        axes.set_xticks([])
        for place in range(len(steps)):
            # many names stand in two rows, so that neighbours have room
            below = _STEP * (1 + (place % 2 if len(steps) > _ABREAST else 0))
            axes.annotate(
                f"@{len(names) + place}@", (place, 0), xytext=(0, -below), textcoords="offset points",
                ha="center", va="baseline", fontsize=SMALL, color=COLOURS["soft"], annotation_clip=False,
            )  # fmt: skip
        _percent(axes.yaxis)
        for line in lines:
            axes.plot(*zip(*line.points, strict=True), color=COLOURS["soft"], linewidth=1.5)
            for (x, y), verdict in zip(line.points, line.marks, strict=True):
                _mark(axes, x, y, ROLES[verdict])
        name_ends(axes, lines)
        return themed(figure, [*names, *steps], title=title)


def curves(lines: Sequence[Line], *, title: str) -> Markup:
    """Shares that fall step by step over a count."""
    from matplotlib.ticker import MaxNLocator

    with drawing():
        figure, axes = plot(PLOT, left=48, below=42)
        axes.set_xlim(0, max(1.0, *(x for line in lines for x, _ in line.points)))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylim(0, 1)
        _percent(axes.yaxis)
        axes.set_xlabel("tokens", fontsize=SMALL, color=COLOURS["soft"], loc="left")
        for line in lines:
            dashes = "--" if line.role == "pass" else "-"
            axes.plot(
                *zip(*line.points, strict=True), dashes, drawstyle="steps-post", color=COLOURS[line.role], linewidth=2
            )
        name_ends(axes, lines)
        return themed(figure, [line.label for line in lines], title=title)


def _rows(count: int, end: float) -> tuple[Figure, Axes]:
    """Room for so many rows, the first one at the top, from 0 to an end."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    inner = _ROW * count
    height = inner + _AXIS + _TOP
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    axes = figure.add_axes((_LEFT / WIDTH, _AXIS / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, inner / height))
    _bare(axes)
    axes.set_xlim(0, end)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    _percent(axes.xaxis)
    axes.grid(visible=True, axis="x", color=COLOURS["rule"], linewidth=0.8)
    return figure, axes


def plot(inner: float, *, left: int, below: int) -> tuple[Figure, Axes]:
    """Room for lines, and for their names at the right."""
    from matplotlib.figure import Figure

    height = inner + below + 2 * _TOP
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    axes = figure.add_axes((left / WIDTH, (below + _TOP) / height, (WIDTH - left - _RIGHT) / WIDTH, inner / height))
    _bare(axes)
    axes.grid(visible=True, axis="y", color=COLOURS["rule"], linewidth=0.8)
    return figure, axes


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["soft"])
    axes.patch.set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=COLOURS["soft"], pad=5)
    axes.set_axisbelow(True)


def _percent(axis: Any) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _name(axes: Axes, place: int, count: int) -> None:
    """What stands at both sides of a row: outside of the axes, at its height."""
    y = 1 - (place + 0.5) / count
    style: dict[str, Any] = {"transform": axes.transAxes, "va": "center_baseline", "fontsize": _TEXT}
    inner = WIDTH - _LEFT - _RIGHT
    axes.text(-10 / inner, y, f"@{2 * place}@", ha="right", color=COLOURS["ink"], **style)
    axes.text(1 + 10 / inner, y, f"@{2 * place + 1}@", ha="left", color=COLOURS["ink"], **style)


def _mark(axes: Axes, x: float, y: float, role: Role) -> None:
    axes.plot(
        [x], [y], _MARKERS[role], markersize=_SIZES[role], color=COLOURS[role], markeredgecolor=COLOURS["paper"],
        markeredgewidth=1, clip_on=False, zorder=5,
    )  # fmt: skip


def name_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Name every line at its end, the names pushed apart."""
    low, right = axes.get_ylim()[0], axes.get_xlim()[1]
    ends = sorted((line.points[-1][1], number) for number, line in enumerate(lines))
    at = float("-inf")
    for y, number in ends:
        above = axes.transData.transform((right, y))[1] - axes.transData.transform((right, low))[1]
        # a label that is pushed up pushes the next one
        at = max(at + _APART, above * 72 / axes.figure.dpi)
        axes.annotate(
            f"@{number}@",
            (right, low),
            xytext=(10, at),
            textcoords="offset points",
            va="center_baseline",
            fontsize=_TEXT,
            color=COLOURS[lines[number].role],
        )
