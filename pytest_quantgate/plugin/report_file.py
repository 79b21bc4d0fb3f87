"""The file that ``--quant-report-json`` names."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_quantgate.report.model import RunReport


def clear(path: Path) -> None:
    """Remove the report of an earlier run, so that nobody takes it for this one's, and make its folder.

    Raises:
        pytest.UsageError: No report can be written there; told now rather than after minutes of generation.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        msg = f"--quant-report-json {path}: no report can be written there: {error.strerror or error}"
        raise pytest.UsageError(msg) from None


def write(report: RunReport, path: Path) -> str | None:
    """Write the report whole or not at all.

    Returns:
        Why it could not be written; None when it was.
    """
    try:
        text = report.to_json()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".quantgate-")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.chmod(0o666 & ~_umask())  # mkstemp lets nobody else read it
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        return f"the report that --quant-report-json asks for cannot be written: {error}"
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
