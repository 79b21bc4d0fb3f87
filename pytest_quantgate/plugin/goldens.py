"""What this run's variants are anchored to: read before the gates are judged, renewed when the session ends well."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.plugin.gates import Gate
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.report.records import GoldenRecord


class Goldens:
    """The goldens of a run.

    Args:
        run: The session's run.

    Attributes:
        records: How each variant stands to its golden, when the run has ended.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self.records: tuple[GoldenRecord, ...] = ()

    def judge(self) -> tuple[Gate, ...]:
        """Compare every variant that answered with its golden.

        Returns:
            The drift gates: one per slice and variant that has a golden.
        """
        return ()
