"""The views of a run for other readers than the terminal's: HTML, Markdown, and what GitHub Actions shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.report.model import RunReport


def clear(run: QuantRun) -> None:
    """Remove the views of an earlier run, so that nobody takes them for this one's.

    Args:
        run: The session's run.

    Raises:
        pytest.UsageError: One cannot be written where it is asked for.
    """


def write(run: QuantRun, report: RunReport) -> list[str]:
    """Write the views that were asked for, and tell GitHub Actions where the run is one of its steps.

    Args:
        run: The session's run.
        report: The whole run.

    Returns:
        Why some could not be written, one line each.
    """
    return []
