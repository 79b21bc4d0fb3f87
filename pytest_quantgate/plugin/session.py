"""One gated run: what was collected, what was answered, and what the gates say of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_quantgate.cases.read_case import marker_name
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plugin import collect, preflight, terminal, views
from pytest_quantgate.plugin.answers import AnswerBook
from pytest_quantgate.plugin.book import CaseRef, SliceBook
from pytest_quantgate.plugin.collect import CaseItem, DegradedError, SliceFile, ref_of
from pytest_quantgate.plugin.files import is_there
from pytest_quantgate.plugin.gates import Gate, PlainFailure, emit, gate_of
from pytest_quantgate.plugin.goldens import Goldens
from pytest_quantgate.plugin.looks import Looks
from pytest_quantgate.plugin.tally import STATUSES, TRANSITION, Tally, transition_of
from pytest_quantgate.plugin.tokens import counter_of
from pytest_quantgate.plugin.verdicts import judge_all
from pytest_quantgate.plugin.whole import Whole
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import no_command

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.variants.device import Placement

Role = Literal["alone", "controller", "worker"]

RUN_KEY = pytest.StashKey["QuantRun"]()


class QuantRun:
    """The plugin object of a session with a candidate.

    Args:
        config: The session's configuration.
        options: What the user asked for.
        places: Where each variant will run, by spec.
        role: ``alone`` does everything. Under pytest-xdist the ``controller`` has the questions answered, judges and
            writes, and each ``worker`` collects, compares and sends.

    Attributes:
        book: The slices that were seen.
        gated: Node id of the collected file of each slice; slices that only tests name have no gate.
        tally: Which cases were selected and which gave a result.
        whole: Which answers must be whole.
        answers: What the variants answered.
        looks: Which cases were asked.
        gates: The gates of the candidates, when the run has ended.
        controls: The verdicts on the controls, when the run has ended.
        goldens: What the variants are anchored to.
        drifts: The drift gates, when the run has ended.
        concluded: The gates were judged and reported.
        report: The whole run, when the session has ended.
        report_problem: Why there is no report, or not the file that was asked for.
        nothing_collected: There is neither a slice nor a test that uses one.
    """

    def __init__(
        self, config: pytest.Config, options: Options, places: dict[str, Placement], role: Role = "alone"
    ) -> None:
        self.config = config
        self.options = options
        self.places = places
        self.role = role
        self.book = SliceBook(config, counter_of(config, options.model), options.grading)
        self.gated: dict[str, str] = {}
        self.tally = Tally()
        self.goldens = Goldens(self)
        self.whole = Whole(self)
        anchored = None if options.anchored is None else self.goldens.anchored
        self.answers = AnswerBook(options, self.whole.asked, lambda: self.book.registry, anchored)
        self.looks = Looks(self)
        self.gates: tuple[Gate, ...] = ()
        self.controls: tuple[GateResult, ...] = ()
        self.drifts: tuple[Gate, ...] = ()
        self.concluded = False
        self.report: RunReport | None = None
        self.report_problem: str | None = None
        self.nothing_collected = False
        self._marks: dict[str, pytest.MarkDecorator] = {}
        self._gate_arguments = collect.take_gate_arguments(config, options)
        self._suite_arguments = collect.take_suite_arguments(config, options)

    # --- collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Before a real run, remove the report of an earlier one."""
        if self.config.option.collectonly or self.options.dry_run or self.role == "worker":
            return
        views.clear(self)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SliceFile | None:
        """Collect slice files."""
        if not file_path.name.endswith(".slice.yaml"):
            return None
        file: SliceFile = SliceFile.from_parent(parent, path=file_path)
        file.run = self
        file.only = self._gate_arguments.get(file_path)
        return file

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Put suites below the session: as a path it would be lost where it lies in a virtual environment.

        Raises:
            pytest.UsageError: A plugin that was to add checks failed; no slice can be read.
        """
        report = yield
        if self.book.fault is not None:
            raise self.book.fault
        suites = self.options.suites
        if suites and isinstance(collector, pytest.Session) and report.passed:
            found = collect.suite_collectors(collector, self, suites, self._suite_arguments)
            report.result = [*(report.result or ()), *found]
        return report

    def markers(self, tags: Iterable[str]) -> list[pytest.MarkDecorator]:
        """Tags as markers, registered so that --strict-markers knows them."""
        names = dict.fromkeys(tags)
        fresh = {tag: marker_name(tag) for tag in names if tag not in self._marks}
        # all lines before the first mark: pytest reads them all again for a name that it has not seen
        for tag, name in fresh.items():
            self.config.addinivalue_line("markers", f"{name}: cases tagged {tag} in a slice file")
        for tag, name in fresh.items():
            self._marks[tag] = getattr(pytest.mark, name)
        return [self._marks[tag] for tag in names]

    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Deselect the slices that --quant-slice does not name."""
        files_skipped = self.config.getoption("lf", default=False)  # those in which nothing failed
        self.nothing_collected = not (self.book.names or session.testsfailed or files_skipped)
        if self.options.slices:
            collect.keep_slices(self, session, items)

    # --- the run

    def select(self, items: Iterable[pytest.Item]) -> None:
        """Note what the items that are left want compared."""
        for item in items:
            ref = ref_of(item)
            if ref is not None:
                self.tally.select(item.nodeid, ref, gated=isinstance(item, CaseItem))

    def answer(self) -> int:
        """Let everybody answer what was selected.

        Returns:
            How many gates will be reported beside the items.

        Raises:
            pytest.UsageError: A slice could not be decided, whatever the models answer.
        """
        preflight.refuse(self)
        self._generate()
        return len(self.tally.selected) + self.goldens.gates

    def _generate(self) -> None:
        from pytest_quantgate.generation.cache import CompletionCache, default_cache_path

        with terminal.warnings_as_lines(self.config), CompletionCache(default_cache_path()) as cache:
            try:
                self.looks.ask(cache)
            except KeyboardInterrupt:
                kept = self.answers.kept(cache)
                told = f"{counted(kept, 'answer')} {'is' if kept == 1 else 'are'}"
                terminal.line(self.config, f"interrupted: {told} kept, the same command goes on from there")
                raise
        for trouble in self.answers.troubles.values():
            terminal.line(self.config, f"error: {trouble.reason}")

    def comparison(self, ref: CaseRef) -> Comparison:
        """One case on both sides; only for candidates and controls without trouble."""
        return self.answers.comparison(ref, self.book.registry)

    def check(self, item: CaseItem) -> None:
        """What an item does: note the transition, and fail where degraded cases are to fail."""
        ref = item.ref
        trouble = self.answers.trouble(ref.candidate)
        not_asked = None if trouble is not None else self.looks.why_not_asked(ref)
        if not_asked is not None:
            pytest.skip(not_asked)
        comparison = None if trouble is not None else self.comparison(ref)
        transition = Transition.UNSCORED if comparison is None else comparison.transition
        item.user_properties[:] = [
            *(pair for pair in item.user_properties if not pair[0].startswith("quant_")),
            ("quant_slice", ref.slice),
            ("quant_candidate", ref.candidate),
            (TRANSITION, transition.value),
        ]
        if trouble is not None:
            pytest.skip(no_command(trouble.headline))
        elif comparison is not None and transition is Transition.UNSCORED:
            pytest.skip(no_command(comparison.reference.unscored or comparison.candidate.unscored or "unscored"))
        elif transition is Transition.DEGRADED and self.options.strict:
            raise DegradedError(PlainFailure(self.side_by_side(ref), self._what_broke(ref)))

    def side_by_side(self, ref: CaseRef) -> str:
        """Both answers of a case, for a failure text."""
        return terminal.side_by_side(self, ref, color=False)

    def _what_broke(self, ref: CaseRef) -> str:
        broken = [result for result in self.comparison(ref).candidate.results if result.followed is False]
        return "degraded: " + "; ".join(f"{result.check}: {result.reason}" for result in broken)

    # --- reports

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say of an unscored case where it is written, and of all that were not asked where their slice is."""
        report = yield
        if isinstance(item, CaseItem) and call.when == "call" and isinstance(report.longrepr, tuple):
            ref = item.ref
            asked = self.looks.asked(ref.slice, ref.case.id)  # what has one place and reason is one line of -rs
            location = ref.case.location if asked else self.book.named(ref.slice).location
            report.longrepr = (location.path, location.line, report.longrepr[2])
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which cases gave a result."""
        self.tally.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport | pytest.CollectReport) -> Any:
        """Degraded, improved and unscored cases have letters and words of their own."""
        if report.when != "call" or hasattr(report, "wasxfail"):
            return None
        return STATUSES.get((transition_of(report) or "", report.outcome))

    def conclude(self) -> None:
        """Judge the gates and report them."""
        results = judge_all(self, self.tally.arrived)
        self.gates = tuple(gate_of(self, result) for result in results if result.role == "candidate")
        self.controls = tuple(result for result in results if result.role != "candidate")
        self.drifts = self.goldens.judge()
        for gate in (*self.gates, *self.drifts):
            emit(self.config, gate)
        self.concluded = True

    def from_here(self, nodeid: str) -> str:
        """A node id as the command line takes it in the folder where pytest was started."""
        path, separator, rest = nodeid.partition("::")
        file = self.config.rootpath / path
        if self.config.rootpath == self.config.invocation_params.dir or not is_there(file):
            return nodeid
        return f"{os.path.relpath(file, self.config.invocation_params.dir)}{separator}{rest}"

    def arrived(self) -> list[CaseRef]:
        """The cases of slice files that gave a result which can be compared, gate by gate."""
        return [
            ref
            for name, candidate in self.tally.selected
            if self.answers.trouble(candidate) is None
            for ref in self.tally.arrived(name, candidate)
        ]

    # --- the terminal

    def pytest_report_header(self) -> list[str]:
        """What runs where."""
        return terminal.header(self)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The degraded cases, then one table per candidate."""
        terminal.summary(self, terminalreporter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the run, and fail it where a report is missing, or a candidate met no slice."""
        if self.role == "worker":
            return
        if self.concluded:
            self.goldens.renew(session, exitstatus)
            views.finish(self, exitstatus)
        unmet = self.nothing_collected and self.options.explicit and not self.config.option.collectonly
        if session.exitstatus == pytest.ExitCode.OK and (unmet or self.report_problem is not None):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
