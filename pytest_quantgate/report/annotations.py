"""The run as GitHub Actions shows it beside the lines of a pull request: one workflow command each.

GitHub shows ten errors and ten warnings of a step. What does not pass is an error at its slice, a degraded case of a
failing gate a warning where the case is written, the worst first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.printable import visible
from pytest_quantgate.report.markdown import worst_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_quantgate.cases.model import Location
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.report.model import RunReport

MOST: Final = 10
"""Annotations of each kind that GitHub shows of one step."""

LONGEST: Final = 2_000
"""Characters of one message."""


def workflow_commands(
    report: RunReport, *, folder: Path, workspace: Path | None, excused: Collection[GateResult] = ()
) -> list[str]:
    """Workflow commands, one line each.

    Args:
        report: The run.
        folder: Where the run was started: what paths in the report are relative to.
        workspace: Where the repository is checked out: what GitHub wants them relative to; None when nobody knows.
        excused: The gates that do not fail the build although they do not pass.
    """
    places = {each.name: (each.path, each.line) for each in report.slices}

    def where(path: str, line: int) -> str:
        inside = _inside(path, folder, workspace)
        return "" if inside is None else f"file={_property(inside)},line={line},"

    lines = []
    gates = worst_first(report.gates)
    judged = [*gates, *worst_first(report.drifts)]
    for gate in [each for each in judged if each.verdict is not Verdict.PASS][:MOST]:
        kind = "warning" if gate in excused else "error"
        what = "drift of" if gate.role == "drift" else "gate of"
        title = f"{gate.verdict.value}: {what} {gate.candidate} on {gate.slice}"
        message = "\n".join(gate.reasons)
        lines.append(f"::{kind} {where(*places[gate.slice])}title={_property(title)}::{_data(message)}")
    for title, location, message in list(_degraded(report, gates))[:MOST]:
        lines.append(f"::warning {where(location.path, location.line)}title={_property(title)}::{_data(message)}")
    return lines


def _degraded(report: RunReport, gates: Sequence[GateResult]) -> Iterator[tuple[str, Location, str]]:
    """Title, place and message of each degraded case of the failing gates."""
    for gate in gates:
        if gate.verdict is not Verdict.FAIL:
            continue
        for record in report.degraded(gate.slice, gate.candidate):
            broken = [each for each in record.outcomes[gate.candidate].results if each.followed is False]
            message = "\n".join(f"{each.check}: {each.reason}" for each in broken)
            name = full_name(record.slice, record.case.id, gate.candidate)
            yield f"degraded: {name}", record.case.location, message


def _inside(path: str, folder: Path, workspace: Path | None) -> str | None:
    """A path as GitHub finds it; None for what is not part of the repository, such as a suite of a package."""
    if workspace is None:
        return None
    try:
        return Path(os.path.realpath(folder / path)).relative_to(os.path.realpath(workspace)).as_posix()
    except (OSError, ValueError):  # ValueError: not below it, or a null character
        return None


def _data(text: str) -> str:
    """A message as a workflow command takes it; of its control characters only line breaks are left."""
    shown = visible(text[:LONGEST], keep="\n")
    return shown.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    """The same for a property, on one line."""
    return _data(text.replace("\n", " ")).replace(":", "%3A").replace(",", "%2C")
