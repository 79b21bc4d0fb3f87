"""`quantgate compare`: two candidates of stored runs side by side, with the tests between them."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_quantgate.errors import UsageError, nearest
from pytest_quantgate.printable import visible
from pytest_quantgate.report.cliff import Cliff, cliff, cliff_sheet, encode_cliff
from pytest_quantgate.report.contrast import Contrast, contrast
from pytest_quantgate.report.contrast_sheets import head, sheets
from pytest_quantgate.report.encoding import dump
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.sides import Side, side
from pytest_quantgate.report.store import load
from pytest_quantgate.report.tables import Name, drawn, markdown, plain
from pytest_quantgate.report.terminal import NARROWEST
from pytest_quantgate.report.text import draw, indented

if TYPE_CHECKING:
    from rich.console import RenderableType

FORMAT: Final = "pytest-quantgate comparison"
SCHEMA_VERSION: Final = 1


def compare(first: str, second: str, *, form: Literal["terminal", "markdown", "json"], width: int, color: bool) -> str:
    """Put two candidates side by side.

    Args:
        first: A stored run, ``RUN.json``, or one candidate of it, ``RUN.json#SPEC``.
        second: The same; it may be of the same run.
        form: ``terminal``, ``markdown`` (for GitHub, at most 60,000 characters) or ``json`` (sorted keys, versioned).
        width: Columns to fill, for a terminal.
        color: Whether to colour with ANSI escapes, for a terminal.

    Raises:
        QuantgateError: A file cannot be read or is no report; it has no such candidate, or several and none is named.
    """
    runs: dict[str, RunReport] = {}
    one, other = _side(first, runs), _side(second, runs)
    try:
        found = contrast(one, other)
    except RecursionError:
        msg = "the arguments of a check are nested too deeply to be compared"
        raise UsageError(msg, where=f"{first}, {second}") from None
    cliffs = {path: fall for path, run in runs.items() if (fall := cliff(run)) is not None}
    if form == "json":
        return _json(one, other, found, cliffs)
    pages = list(sheets(found))
    for path, fall in cliffs.items():
        pages.append(replace(cliff_sheet(fall), title=("where the fall begins in ", Name(path))))
    if form == "markdown":
        return markdown(head(one, other, found), pages)
    width = max(width, NARROWEST)
    parts: list[RenderableType] = []
    for line in head(one, other, found):
        parts += indented(plain(line), width, rest="   ")
    parts.append("")
    for page in pages:
        parts += drawn(page, width)
    return draw(parts, color=color)


def _side(name: str, runs: dict[str, RunReport]) -> Side:
    path, spec = _parted(name)
    if path not in runs:
        runs[path] = load(Path(path))
    run = runs[path]
    known = [each.spec for each in run.candidates]
    if not known:
        raise UsageError("has no candidates", where=path)
    if spec is None:
        if len(known) != 1:
            raise UsageError(
                visible(f"has {len(known)} candidates: {', '.join(known)}"),
                where=path,
                hint=visible(f"name one of them: quantgate compare {shlex.quote(f'{path}#{known[0]}')} ..."),
            )
        spec = known[0]
    if spec not in known:
        raise UsageError(f"has no candidate {spec!r}", where=path, hint=visible(nearest(spec, known)))
    return side(path, run, spec)


def _parted(name: str) -> tuple[str, str | None]:
    """Path and spec; both may hold the mark that parts them, so the shortest path that is a file counts."""
    marks = [place for place, each in enumerate(name) if each == "#"]
    for place in [*marks, len(name)]:
        if os.path.isfile(name[:place]):  # noqa: PTH113  (Path.is_file raises where a text is no file's name)
            return name[:place], name[place + 1 :] if place < len(name) else None
    path, mark, spec = name.partition("#")
    return path, spec if mark else None


def _json(one: Side, other: Side, found: Contrast, cliffs: dict[str, Cliff]) -> str:
    value = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "first": _facts(one),
        "second": _facts(other),
        **asdict(found),
        "cliffs": [{"path": path, **encode_cliff(fall)} for path, fall in cliffs.items()],
    }
    return dump(value, indent=1) + "\n"


def _facts(one: Side) -> dict[str, Any]:
    return {"path": one.path, "created": one.created, "cases": len(one.cases), "facts": dict(one.facts)}
