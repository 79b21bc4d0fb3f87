"""``--quant-only``: the cases that the last run found degraded, unstable or drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.plugin.session import QuantRun


def install(run: QuantRun) -> None:
    """Register what remembers a run's cases, and what selects by the last one's.

    Args:
        run: The session's run.
    """
