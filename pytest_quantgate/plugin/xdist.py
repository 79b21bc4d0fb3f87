"""The controller of a session that pytest-xdist distributes: it has everything answered once, and it alone judges.

It collects nothing. When the first worker has collected, it reads what is selected, lets the variants answer in this
process, and leaves the answers in a folder. Only then are tests scheduled. Workers grade, and what they found comes
back with pytest's reports. A worker that dies loses the cases that nobody reported: they are missing, and their gate
does not pass.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantgate.plugin import handover, terminal
from pytest_quantgate.plugin.gates import PlainFailure
from pytest_quantgate.plugin.worker import FOLDER, GRADED, SUMMARY, selection_file

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_quantgate.plugin.session import QuantRun, Role


def role_of(config: pytest.Config) -> Role:
    """What this process is in the session.

    Raises:
        pytest.UsageError: A worker would run on another host, or in another folder.
    """
    if hasattr(config, "workerinput"):
        return "worker"
    if config.option.collectonly or config.getoption("dist", "no") == "no" or not config.option.tx:
        return "alone"  # as pytest-xdist sees it
    from execnet import XSpec

    for text in config.option.tx:
        spec = XSpec(text.partition("*")[2] if text.partition("*")[0].isdigit() else text)
        if not spec.popen or spec.via or spec.chdir:
            msg = (
                f"--tx {text}: with --quant-cand workers are processes of this machine that start in this folder, as "
                "-n gives them: they read the answers from a folder of the run"
            )
            raise pytest.UsageError(msg)
    return "controller"


def run_here(config: pytest.Config) -> None:
    """Start no workers: pytest-xdist looks at this after us."""
    config.option.dist, config.option.tx = "no", []


class Controller:
    """The session of a controller.

    Args:
        run: The session's run.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self._session: pytest.Session | None = None
        self._begun = False
        self._expected: int | None = None  # results, gates included, once everything is answered

    @cached_property
    def _folder(self) -> Path:
        try:
            return Path(tempfile.mkdtemp(prefix="quantgate-"))  # for this user alone
        except OSError as error:
            msg = f"no folder can be made for what workers are told: {error}\n  let TMPDIR name one, or run without -n"
            raise pytest.UsageError(msg) from None

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where files are left."""
        node.workerinput[FOLDER] = str(self._folder)

    def pytest_unconfigure(self) -> None:
        """Remove what was left."""
        if "_folder" in self.__dict__:
            shutil.rmtree(self._folder, ignore_errors=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Report the gates when the workers are done.

        Raises:
            pytest.UsageError: A worker's session cannot go on, or a slice could not be decided.
        """
        from xdist.dsession import Interrupted  # type: ignore[import-untyped]  # it ships no types

        run = self._run
        self._session = session
        try:
            result = yield
        except Interrupted as stop:
            if self._expected is None:
                raise
            run.conclude()
            maxfail = session.config.getoption("maxfail")
            if maxfail and session.testsfailed >= maxfail:  # pytest-xdist interrupts where pytest fails
                raise session.Failed(str(stop)) from None
            raise
        if self._expected is not None:
            run.conclude()
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """Have everything answered when the first worker knows what is selected; nothing is scheduled before that.

        Raises:
            pytest.UsageError: A worker's session cannot go on, or a slice could not be decided.
        """
        run, session = self._run, self._session
        if self._begun or session is None:
            return
        self._begun = True
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            several = "s" if session.testsfailed > 1 else ""
            raise session.Interrupted(f"{session.testsfailed} error{several} during collection")
        file = selection_file(self._folder, node.gateway.id)
        try:
            handover.take_selection(run, file)
        except OSError as error:
            msg = (
                f"worker {node.gateway.id} could not tell what it collected: {file}: {error.strerror}\n"
                "  make room there, let TMPDIR name another folder, or run without -n"
            )
            raise pytest.UsageError(msg) from None
        if not run.tally.wanted:
            return
        reporter = terminal.reporter(run.config)
        if reporter is not None and reporter.isatty:
            reporter.write_line("")  # the one on which pytest-xdist shows its workers
        gates = run.answer()
        handover.write_answers(run, self._folder)
        self._expected = len(ids) + gates

    def pytest_testnodedown(self, node: Any) -> None:
        """Let a worker's Ctrl-C end the session as ours does; pytest-xdist would start another worker first.

        Raises:
            KeyboardInterrupt: A worker was interrupted.
        """
        output = getattr(node, "workeroutput", None)  # nothing of a worker that died
        if output is not None and output["exitstatus"] == pytest.ExitCode.INTERRUPTED and not output["shouldstop"]:
            raise KeyboardInterrupt(f"{node} was interrupted")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Count the gates among what is expected, as pytest-xdist does not: progress ends at 100%."""
        if self._session is not None and self._expected is not None:
            self._session.testscollected = self._expected

    @pytest.hookimpl(tryfirst=True)  # before anybody looks at the report
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a worker found out of its report, which is then as it would be without workers."""
        graded = report.__dict__.pop(GRADED, None)
        ref = self._run.tally.wanted.get(report.nodeid)
        if graded is not None and ref is not None:
            self._run.answers.receive(ref, *handover.decode_graded(graded))
        summary = report.__dict__.pop(SUMMARY, None)
        if summary is not None:
            report.longrepr = PlainFailure(str(report.longrepr), summary)  # type: ignore[assignment]  # see gates.py
