"""`quantgate report`: a stored run as HTML and as Markdown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import UsageError
from pytest_quantgate.report.store import check, clear, load, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.store import Kind

_KINDS: Final[Mapping[str, Kind]] = {"--json": "JSON", "--html": "HTML", "--markdown": "Markdown"}


def views(file: Path, *, html: Path | None, markdown: Path | None) -> tuple[RunReport, list[str]]:
    """Write the views that are asked for.

    Args:
        file: The stored run.
        html: Where to write the run as HTML; None for nowhere.
        markdown: Where to write it as Markdown; None for nowhere.

    Returns:
        The run, and what was written, one line each.

    Raises:
        QuantgateError: The run cannot be read, or a view not be written.
    """
    report = load(file)
    targets = cleared(file, {"--html": html, "--markdown": markdown})
    for option, path in targets.items():
        write_text(page_of(report) if option == "--html" else _markdown(report), path)
    return report, [f"wrote {path}" for path in targets.values()]


def cleared(file: Path, targets: Mapping[str, Path | None]) -> dict[str, Path]:
    """The files that are to be written, by option, older ones removed.

    Args:
        file: The stored run.
        targets: Where each option wants to write; None for nowhere.

    Raises:
        UsageError: One is the run itself or named twice, or cannot be written.
    """
    named = {option: path for option, path in targets.items() if path is not None}
    taken = {os.path.realpath(file): "the run itself"}
    for option, path in named.items():
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"{other} is that file", where=f"{option} {path}", hint="name another")
    for option, path in named.items():
        check(path, _KINDS[option])
    for option, path in named.items():  # none is removed where another one cannot be written
        clear(path, _KINDS[option])
    return named


def page_of(report: RunReport) -> str:
    """The run as one HTML file."""
    from pytest_quantgate.report.html import page

    return page(report)


def _markdown(report: RunReport) -> str:
    from pytest_quantgate.report.markdown import markdown_report

    return markdown_report(report)
