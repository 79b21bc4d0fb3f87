"""A run with gates that broke, for tests of `quantgate diagnose`."""

from __future__ import annotations

from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import counted, run


def several() -> RunReport:
    """nf4 on four slices: one is fine, one degrades within its limit, two fail."""
    return run(
        ("fine", counted("fine", pp=10)),
        ("bad", counted("bad", pp=8, pf=2)),
        ("worse", counted("worse", pp=5, pf=5)),
        ("tolerable", counted("tolerable", pp=99, pf=1)),
    )
