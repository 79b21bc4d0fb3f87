"""The files that ``--quant-report-json``, ``--quant-report-html`` and ``--quant-report-markdown`` name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.errors import QuantgateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.store import Kind

JSON: Final = "--quant-report-json"
HTML: Final = "--quant-report-html"
MARKDOWN: Final = "--quant-report-markdown"

_KINDS: Final[Mapping[str, Kind]] = {JSON: "JSON", HTML: "HTML", MARKDOWN: "Markdown"}


def clear(path: Path, option: str) -> None:
    """Remove the report of an earlier run, so that nobody takes it for this one's, and make its folder.

    Raises:
        pytest.UsageError: No report can be written there; told now rather than after minutes of generation.
    """
    from pytest_quantgate.report import store

    try:
        store.clear(path, _KINDS[option])
    except QuantgateError as error:
        msg = f"{option} {error}"
        raise pytest.UsageError(msg) from None


def problem(path: Path, option: str) -> str | None:
    """Why no report can be written to a file; None where one can. Nothing is made or removed."""
    from pytest_quantgate.report import store

    try:
        store.check(path, _KINDS[option])
    except QuantgateError as error:
        return f"{option} {error}"
    return None


def write(report: RunReport, path: Path) -> str | None:
    """Write the report whole or not at all.

    Returns:
        Why it could not be written; None when it was.
    """
    from pytest_quantgate.report import store

    try:
        store.write(report, path)
    except QuantgateError as error:
        return f"{JSON} {error}"
    return None


def write_text(text: str, path: Path, option: str) -> str | None:
    """Write another view of the run likewise."""
    from pytest_quantgate.report import store

    try:
        store.write_text(text, path)
    except QuantgateError as error:
        return f"{option} {error}"
    return None
