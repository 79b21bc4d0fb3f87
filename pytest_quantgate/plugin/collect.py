"""Slice files as pytest collectors, and their cases as items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantgate.cases.model import DRIFT_ID, GATE_ID
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.errors import SliceError, nearest
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.files import absolute, is_there
from pytest_quantgate.plugin.values import place_of
from pytest_quantgate.printable import no_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_quantgate.cases.model import Slice
    from pytest_quantgate.plugin.options import Options
    from pytest_quantgate.plugin.session import QuantRun


class _Cases(pytest.Collector):
    """Collects the cases of one slice file, once for each candidate.

    Attributes:
        run: The session's run.
        only: Names of the items to collect, with or without ``[candidate]``, where that of a gate stands for all
            of its cases; None for all.
        items: What was collected.
    """

    run: QuantRun
    only: frozenset[str] | None = None
    items: tuple[CaseItem, ...] = ()

    def load(self) -> Slice:
        """The slice of this file."""
        return self.run.book.load(self.path)

    def collect(self) -> Iterator[CaseItem]:
        """The items, by case and then by candidate."""
        self.items = tuple(self._collect())
        return iter(self.items)

    def _collect(self) -> Iterator[CaseItem]:
        slice_ = self.load()
        self.run.gated[slice_.name] = self.nodeid
        self.run.markers(tag for case in slice_.cases for tag in case.tags)
        missing = set(self.only or ())
        for case in slice_.cases:
            for candidate in self.run.options.candidates:
                name = f"{case.id}[{candidate}]"
                names = {name, case.id, *_gates_of(self.run.options, candidate)}
                if self.only is None or not self.only.isdisjoint(names):
                    missing -= names
                    yield CaseItem.of(self, name, CaseRef(slice_.name, case, candidate))
        if missing:
            raise self.CollectError("\n".join(f"not found: {self.nodeid}::{name}" for name in sorted(missing)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as pytest.Collector does
        """Problems of the slice file as FILE:LINE lines, without a traceback."""
        if isinstance(excinfo.value, SliceError):
            return no_command(str(excinfo.value))
        return super().repr_failure(excinfo)


class SliceFile(_Cases, pytest.File):
    """A ``*.slice.yaml`` file of the user's project."""


class SuiteSlice(_Cases):
    """A slice file of a packaged suite, with the node id ``SUITE/NAME.slice.yaml`` wherever the package lies.

    It is no ``pytest.File``: ``--lf`` would look for the node id's path below the root folder and skip it.
    """


class CaseItem(pytest.Item):
    """One case on one candidate; it only looks the comparison up.

    Attributes:
        ref: What is compared.
        run: The session's run.
    """

    ref: CaseRef
    run: QuantRun

    @classmethod
    def of(cls, parent: _Cases, name: str, ref: CaseRef) -> CaseItem:
        """An item, with the case's tags as markers."""
        # The whole id is given: pytest would keep "[candidate]" in the name, and --lf compares parsed ids.
        item: CaseItem = cls.from_parent(parent, name=name, nodeid=f"{parent.nodeid}::{name}")
        item.ref, item.run = ref, parent.run
        item.extra_keyword_matches.add(f"{ref.slice}::{name}")
        for mark in parent.run.markers(ref.case.tags):
            item.add_marker(mark)
        return item

    def runtest(self) -> None:
        """Compare, and fail only when degraded cases are to fail."""
        self.run.check(self)

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        """Where the case is written, and how headlines name it."""
        # not the node id's own end: pytest would write the dots of it as slashes
        return self.path, self.ref.case.location.line - 1, f"{self.ref.slice}: {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Both answers side by side, without a traceback."""
        if isinstance(excinfo.value, DegradedError):
            return excinfo.value.failure
        return super().repr_failure(excinfo, style)


def ref_of(item: pytest.Item) -> CaseRef | None:
    """What an item compares: a case of a slice file, or a Python test's ``quant_case``."""
    if isinstance(item, CaseItem):
        return item.ref
    callspec = getattr(item, "callspec", None)
    ref = callspec.params.get("quant_case") if callspec is not None else None
    return ref if isinstance(ref, CaseRef) else None


class DegradedError(Exception):
    """A degraded case, where these are to fail.

    Args:
        failure: What the report shows.
    """

    def __init__(self, failure: object) -> None:
        self.failure = failure
        super().__init__(str(failure))


def keep_slices(run: QuantRun, session: pytest.Session, items: list[pytest.Item]) -> None:
    """Deselect the slices that ``--quant-slice`` does not name.

    Raises:
        pytest.UsageError: It names one that is not there.
    """
    names = run.options.slices
    for name in names:
        if name not in run.book.names and not session.testsfailed:
            hint = nearest(name, run.book.names) if run.book.names else "no slice was collected"
            msg = f"{place_of(run.config, 'quant_slice', name)} {name}: no such slice: {hint}"
            raise pytest.UsageError(msg)
    others = [item for item in items if (ref := ref_of(item)) is not None and ref.slice not in names]
    if others:
        run.config.hook.pytest_deselected(items=others)
        dropped = set(others)
        items[:] = [item for item in items if item not in dropped]


def suite_collectors(
    session: pytest.Session, run: QuantRun, suites: Iterable[str], only: Iterable[str]
) -> Iterator[SuiteSlice]:
    """Collectors for the files of packaged suites.

    Args:
        session: Their parent.
        run: The session's run.
        suites: Their names.
        only: Node ids that the user named on the command line; everything when empty.
    """
    selected: dict[str, set[str] | None] = {}
    for nodeid in only:
        path, _, name = nodeid.partition("::")
        names = selected.setdefault(path, set())
        if not name:
            selected[path] = None
        elif names is not None:
            names.add(name)
    by_nodeid = {f"{suite}/{file.name}": file for suite in suites for file in suite_files(suite)}
    for path in selected:
        if path not in by_nodeid:
            msg = f"not found: {path}\n  {nearest(path, by_nodeid)}"
            raise pytest.UsageError(msg)
    for nodeid, file in by_nodeid.items():
        if selected and nodeid not in selected:
            continue
        collector: SuiteSlice = SuiteSlice.from_parent(session, name=nodeid, path=file, nodeid=nodeid)
        collector.run = run
        names = selected.get(nodeid)
        collector.only = None if names is None else frozenset(names)
        yield collector


def gate_name(candidate: str) -> str:
    """What the gate of a candidate is called below its slice file."""
    return f"{GATE_ID}[{candidate}]"


def drift_name(variant: str) -> str:
    """What the drift gate of a variant is called below its slice file."""
    return f"{DRIFT_ID}[{variant}]"


def _gates_of(options: Options, candidate: str) -> tuple[str, ...]:
    """The names of the gates that need the cases of a candidate; the reference is asked all of them."""
    return gate_name(candidate), GATE_ID, drift_name(candidate), drift_name(options.reference), DRIFT_ID


def take_gate_arguments(config: pytest.Config, options: Options) -> dict[Path, frozenset[str]]:
    """Take gates from pytest's arguments, which knows no such items, and leave their files.

    Returns:
        By slice file, the gates to run. Files that other arguments name too, or folders above them, are left out:
        all of what is named is to run, and the whole file is.
    """
    gates = {name for candidate in options.candidates for name in _gates_of(options, candidate)}
    folder = config.invocation_params.dir
    taken: dict[Path, set[str]] = {}
    others: set[Path] = set()
    arguments: list[str] = []
    for argument in config.args:
        text, _, name = argument.partition("::")
        path = absolute(folder / text)
        if name in gates and is_there(path):
            taken.setdefault(path, set()).add(name)
            arguments.append(text)
        else:
            others.add(path)
            arguments.append(argument)
    config.args[:] = dict.fromkeys(arguments)
    return {path: frozenset(names) for path, names in taken.items() if others.isdisjoint((path, *path.parents))}


def take_suite_arguments(config: pytest.Config, options: Options) -> tuple[str, ...]:
    """Take from pytest's arguments what names a suite's files, or everything when only suites are to run."""
    if not options.suites:
        return ()
    if options.suites_only:
        config.args[:] = []
        return ()
    folder = config.invocation_params.dir
    taken = tuple(
        argument
        for argument in config.args
        if argument.startswith(tuple(f"{suite}/" for suite in options.suites))
        and not is_there(folder / argument.partition("::")[0])
    )
    config.args[:] = [argument for argument in config.args if argument not in taken]
    return taken
