"""A worker of pytest-xdist: it collects, compares and sends; what was answered is in a folder of the controller's."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.plugin import handover
from pytest_quantgate.plugin.collect import CaseItem
from pytest_quantgate.plugin.gates import PlainFailure
from pytest_quantgate.plugin.tally import transition_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_quantgate.plugin.session import QuantRun

FOLDER: Final = "quantgate_folder"
"""Key of a worker's input: the folder in which controller and workers leave files for each other."""

GRADED: Final = "quantgate_graded"
"""Attribute of a report: both outcomes of the case."""

SUMMARY: Final = "quantgate_summary"
"""Attribute of a report: the one line of a failure that is told without a traceback; pytest sends only its text."""


def selection_file(folder: Path, worker: str) -> Path:
    """Where a worker tells what it collected."""
    return folder / f"selected-{worker}.json"


def worker_of(run: QuantRun) -> Worker:
    """The session of this process, whose controller has told where and who it is."""
    given = run.config.workerinput  # type: ignore[attr-defined]  # pytest-xdist's
    return Worker(run, Path(given[FOLDER]), given["workerid"])


class Worker:
    """The session of a worker.

    Args:
        run: The worker's run.
        folder: Where controller and workers leave files for each other.
        name: Of the worker, such as ``gw0``.
    """

    def __init__(self, run: QuantRun, folder: Path, name: str) -> None:
        self._run = run
        self._folder = folder
        self._file = selection_file(folder, name)
        self._knows_answers = False
        self._deselected = 0

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what is left out; the controller shows it."""
        self._deselected += len(items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Go on where the session cannot: it waits for the controller, which is told, and ends every session."""
        try:
            return (yield)
        except pytest.UsageError:
            return True

    @pytest.hookimpl(tryfirst=True)  # before the controller hears that collection is done
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell the controller what is selected, or why nothing can be."""
        error = sys.exception()  # pytest calls this hook on the way out, too
        try:
            if isinstance(error, pytest.UsageError):
                handover.write_refusal(error, self._file)
            else:
                self._run.select(session.items)
                handover.write_selection(self._run, session.items, self._deselected, self._file)
        except OSError:
            with suppress(OSError):
                self._file.unlink()  # half of it may be there; the controller misses the file, and says so

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> None:
        """Before the first test, look at what the controller left: no test is scheduled before it has."""
        if not self._knows_answers:
            self._knows_answers = True
            if self._run.tally.wanted:
                handover.take_answers(self._run, self._folder)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the outcomes of a case along with its report."""
        report = yield
        failure: object = report.longrepr
        if isinstance(failure, PlainFailure):
            setattr(report, SUMMARY, failure.reprcrash.message)
        compared = call.when == "call" and transition_of(report) is not None
        if compared and isinstance(item, CaseItem) and self._run.answers.trouble(item.ref.candidate) is None:
            setattr(report, GRADED, handover.encode_graded(self._run.comparison(item.ref)))
        return report
