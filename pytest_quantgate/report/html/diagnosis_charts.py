"""The charts of a diagnosis, drawn by matplotlib: curves along layers, heat maps, and the frontier of repairs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import nan
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_quantgate.report.figures import number
from pytest_quantgate.report.html.charts import PLOT, SMALL, WIDTH, Line, name_ends, plot
from pytest_quantgate.report.html.svg import COLOURS, LONGEST_LABEL, TINTS, drawing, themed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

    from pytest_quantgate.report.html.charts import Role

Tint = Literal["ink", "pass", "fail"]

_LEFT: Final = 58
_BELOW: Final = 42
_MARGIN: Final = 8
_KEY: Final = 12  # height of the key to a heat map's colours
_TALLEST: Final = 300
_ROW: Final = 26  # tallest row of a heat map
_LETTER: Final = 6.4  # width of one
_LINE: Final = 15  # height of one
_LONGEST_ROW_NAME: Final = 8
_SMALLEST: Final = 1e-6  # an axis has some length, whatever it shows


@dataclass(frozen=True, slots=True)
class Profile:
    """One curve.

    Attributes:
        label: Stands at its end.
        at: Where its values stand, ascending.
        values: As many; None where undefined, at which the line breaks.
        role: Its colour; dashed for ``pass``.
    """

    label: str
    at: Sequence[int]
    values: Sequence[float | None]
    role: Role


@dataclass(frozen=True, slots=True)
class Try:
    """One mark of the frontier.

    Attributes:
        bits: Mean bits of a weight.
        share: Of the degraded cases, those that are turned back.
        role: ``pass`` for the chosen one, ``fail`` for one that loses cases, ``ink`` for any other.
        label: Stands beside it; empty for none.
    """

    bits: float
    share: float
    role: Role
    label: str = ""


def profiles(
    lines: Sequence[Profile], *, title: str, along: str, floor: float, ceiling: float | None, log: bool = False
) -> Markup:
    """Curves over the layers, or over the steps of an answer.

    Args:
        lines: At least one; each with at least one defined value.
        title: What a screen reader says.
        along: What the horizontal axis counts.
        floor: Where the vertical axis begins.
        ceiling: Where it ends; None to end it at the highest value.
        log: Whether it counts in powers of ten.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    known = [value for line in lines for value in line.values if value is not None]
    top = ceiling if ceiling is not None else max(known) * (1.5 if log else 1.05)
    top = max(top, 10 * floor if log else floor + _SMALLEST)
    with drawing():
        figure, axes = plot(PLOT, left=_LEFT, below=_BELOW)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(floor, top)
        first, last = min(line.at[0] for line in lines), max(line.at[-1] for line in lines)
        axes.set_xlim(first, max(last, first + 1))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.set_xlabel(along, fontsize=SMALL, color=COLOURS["soft"], loc="left")
        ends = []
        for line in lines:
            inside = [None if value is None else min(max(value, floor), top) for value in line.values]
            drawn = [nan if value is None else value for value in inside]
            dashes = "--" if line.role == "pass" else "-"
            axes.plot(line.at, drawn, dashes, color=COLOURS[line.role], linewidth=2, clip_on=False)
            for place in _alone(inside):
                axes.plot([line.at[place]], [drawn[place]], ".", color=COLOURS[line.role], markersize=6, clip_on=False)
            points = tuple((float(at), value) for at, value in zip(line.at, inside, strict=True) if value is not None)
            ends.append(Line(line.label, points, line.role))
        name_ends(axes, ends)
        return themed(figure, [line.label for line in lines], title=title)


def heat(
    values: Sequence[Sequence[float | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    end: float,
    tint: Tint,
) -> Markup:
    """A heat map, its first row at the top: from pale at 0 and below to the full colour at ``end`` and above.

    Args:
        values: At least one row and one column; None, which is drawn as a small mark, where undefined.
        rows: Names at the left.
        columns: Names below.
        title: What a screen reader says.
        end: The number that has the full colour.
        tint: Which colour.
    """
    wide, tall = WIDTH - _LEFT - _MARGIN, min(_TALLEST, _ROW * len(rows))
    labels = [*(name[:_LONGEST_ROW_NAME] for name in rows), *columns, "0", number(end)]
    with drawing():
        figure, axes = _sheet(tall + 3 * _LINE + _KEY)
        cell = (wide / len(columns), tall / len(rows))
        steps = [[None if each is None else _step(each, end) for each in row] for row in values]
        _tiles(axes, steps, tint, (_LEFT, 0), cell)
        for place in _ticks(len(rows), _LINE / cell[1]):
            _text(axes, place, (_LEFT - 6, (place + 0.5) * cell[1]), ha="right", va="center_baseline")
        widest = _LETTER * (2 + max(min(len(name), LONGEST_LABEL) for name in columns))
        for place in _ticks(len(columns), widest / cell[0]):
            _text(axes, len(rows) + place, (_LEFT + (place + 0.5) * cell[0], tall + _LINE), ha="center", va="baseline")
        left, top = _LEFT + 2 * _MARGIN, tall + 2 * _LINE
        _tiles(axes, [list(range(TINTS))], tint, (left, top), (_KEY, _KEY))
        _text(axes, len(labels) - 2, (left - 6, top + _KEY - 2), ha="right", va="baseline")
        _text(axes, len(labels) - 1, (left + _KEY * TINTS + 6, top + _KEY - 2), ha="left", va="baseline")
        return themed(figure, labels, title=title)


def frontier(tries: Sequence[Try], *, title: str) -> Markup:
    """Repairs by what they cost and what they turn back, with the best that so many bits do.

    Args:
        tries: At least one in ``ink``, over which the line goes.
        title: What a screen reader says.
    """
    from matplotlib.ticker import MaxNLocator

    with drawing():
        figure, axes = plot(PLOT, left=_LEFT, below=_BELOW)
        bits = [each.bits for each in tries]
        room = max(0.05 * (max(bits) - min(bits)), 0.1)
        axes.set_xlim(min(bits) - room, max(bits) + room)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        axes.set_xlabel("bits of a weight", fontsize=SMALL, color=COLOURS["soft"], loc="left")
        best = list(_best(each for each in tries if each.role == "ink"))
        axes.plot(*zip(*best, strict=True), color=COLOURS["soft"], linewidth=1.5, drawstyle="steps-post")
        for each in sorted(tries, key=lambda each: each.role == "pass"):
            mark: dict[str, Any] = {"markeredgecolor": COLOURS["paper"], "markeredgewidth": 1, "clip_on": False}
            shape = {"fail": "X", "pass": "D"}.get(each.role, "o")
            axes.plot([each.bits], [each.share], shape, color=COLOURS[each.role], markersize=8, zorder=5, **mark)
        labels = [each.label for each in tries]
        for place, each in enumerate(tries):
            if each.label:
                axes.annotate(
                    f"@{place}@", (each.bits, each.share), xytext=(8, 6), textcoords="offset points",
                    fontsize=SMALL, color=COLOURS["ink"], annotation_clip=False,
                )  # fmt: skip
        return themed(figure, labels, title=title)


def _sheet(height: float) -> tuple[Figure, Axes]:
    """An empty drawing of so much height, measured from its upper left corner, without axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    return figure, axes


def _tiles(
    axes: Axes,
    steps: Sequence[Sequence[int | None]],
    tint: Tint,
    corner: tuple[float, float],
    cell: tuple[float, float],
) -> None:
    """Cells of one step as one shape, neighbours in a row as one rectangle: a page holds many cells.

    Args:
        axes: A sheet.
        steps: Of each cell; None for one that is undefined.
        tint: Which colour.
        corner: Upper left one of the first cell.
        cell: Width and height of one.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    found: dict[str, list[Path]] = {}
    for down, row in enumerate(steps):
        across = 0
        for step, run in groupby(row):
            count = len(list(run))
            if step is None:
                marks = (_box(corner, cell, (across + each + 0.4, down + 0.4), (0.2, 0.2)) for each in range(count))
                found.setdefault("soft", []).extend(marks)
            else:
                found.setdefault(f"{tint}-{step}", []).append(_box(corner, cell, (across, down), (count, 1)))
            across += count
    for role, boxes in found.items():
        shape = Path.make_compound_path(*boxes)
        axes.add_patch(PathPatch(shape, facecolor=COLOURS[role], linewidth=0))


def _box(
    corner: tuple[float, float], cell: tuple[float, float], at: tuple[float, float], size: tuple[float, float]
) -> Path:
    """A rectangle at a place of so many cells."""
    from matplotlib.path import Path

    left, top = corner[0] + at[0] * cell[0], corner[1] + at[1] * cell[1]
    right, low = left + size[0] * cell[0], top + size[1] * cell[1]
    return Path([(left, top), (right, top), (right, low), (left, low), (left, top)])


def _step(value: float, end: float) -> int:
    return round((TINTS - 1) * min(max(value / end, 0.0), 1.0))


def _ticks(count: int, least: float) -> range:
    """The places that are named, so far apart that their names have room."""
    apart = next((each for each in (1, 2, 5, 10, 20, 50) if each >= least), max(count, 1))
    return range(0, count, apart)


def _text(axes: Axes, label: int, at: tuple[float, float], **where: Any) -> None:
    axes.text(*at, f"@{label}@", fontsize=SMALL, color=COLOURS["soft"], **where)


def _alone(values: Sequence[float | None]) -> Iterator[int]:
    """Where a defined value has no defined neighbour, so that no line shows it."""
    padded = [None, *values, None]
    for place, value in enumerate(values):
        if value is not None and padded[place] is None and padded[place + 2] is None:
            yield place


def _best(tries: Iterable[Try]) -> Iterator[tuple[float, float]]:
    """The highest share that so many bits reach, wherever it rises."""
    highest = -1.0
    for each in sorted(tries, key=lambda each: (each.bits, -each.share)):
        if each.share > highest:
            highest = each.share
            yield each.bits, highest
