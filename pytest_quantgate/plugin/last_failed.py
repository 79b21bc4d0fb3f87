"""``--lf`` and ``--ff``: a gate that failed is judged again, by running its whole slice.

pytest remembers the node ids of what failed, and keeps the items that have such an id. A gate is no item: while
pytest chooses, one item with the gate's id stands for all of its cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_quantgate.plugin import gates
from pytest_quantgate.plugin.collect import CaseItem, SliceFile

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_quantgate.plugin.session import QuantRun

LAST_FAILED = "cache/lastfailed"


def install(run: QuantRun) -> None:
    """Register what brings failed gates back; nothing where pytest's cache is switched off."""
    if getattr(run.config, "cache", None) is None:
        return
    failed = FailedGates(run)
    run.config.pluginmanager.register(failed, "quantgate-failed-gates")
    if run.config.getoption("lf") or run.config.getoption("failedfirst"):
        run.config.pluginmanager.register(_Fold(failed), "quantgate-fold")
        run.config.pluginmanager.register(_Unfold(failed), "quantgate-unfold")


class FailedGates:
    """The gates that failed when they were last judged.

    Args:
        run: The session's run; pytest's cache is there.

    Attributes:
        folded: Items of failed gates by the gate's node id, while something else stands for them.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self._ids = frozenset(_cache(run).get(LAST_FAILED, {}))
        self.folded: dict[str, list[pytest.Item]] = {}

    def gate_of(self, item: pytest.Item) -> str | None:
        """The node id of the failed gate that an item counts for."""
        if not isinstance(item, CaseItem):
            return None
        found = gates.nodeids(self._run, item.ref.slice, item.ref.candidate)
        return next((nodeid for nodeid in found if nodeid in self._ids), None)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Keep failed gates that were not judged again; pytest forgets what was skipped."""
        result = yield
        run = self._run
        left = [gate for gate in (*run.gates, *run.drifts) if not run.goldens.settled(gate)]
        skipped = {gate.nodeid for gate in left if gate.outcome == "skipped"} & self._ids
        if skipped:
            cache = _cache(run)
            cache.set(LAST_FAILED, {**cache.get(LAST_FAILED, {}), **dict.fromkeys(skipped, True)})
        return result


class _Fold:
    """Runs before pytest chooses: its wrapper lies inside of pytest's."""

    def __init__(self, failed: FailedGates) -> None:
        self._failed = failed

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Let one item stand for the cases of each failed gate that other selection has left."""
        result = yield
        left: list[pytest.Item] = []
        for item in items:
            gate, parent = self._failed.gate_of(item), item.parent
            if gate is None or parent is None:
                left.append(item)
                continue
            if gate not in self._failed.folded:
                left.append(_GateItem.from_parent(parent, name=gate, nodeid=gate))
            self._failed.folded.setdefault(gate, []).append(item)
        items[:] = left
        return result


class _Unfold:
    """Runs after pytest has chosen: its wrappers lie outside of pytest's."""

    def __init__(self, failed: FailedGates) -> None:
        self._failed = failed

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Bring back the cases that pytest dropped while it collected."""
        report = yield
        if isinstance(collector, SliceFile) and report.passed:
            kept = set(report.result)
            report.result = [item for item in collector.items if item in kept or self._failed.gate_of(item)]
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Put the cases where their gate stands."""
        result = yield
        items[:] = [
            case
            for item in items
            for case in (self._failed.folded[item.nodeid] if isinstance(item, _GateItem) else [item])
        ]
        return result


class _GateItem(pytest.Item):
    """Stands for the cases of a failed gate."""

    def runtest(self) -> NoReturn:
        """It is gone before anything runs."""
        raise NotImplementedError


def _cache(run: QuantRun) -> pytest.Cache:
    cache = run.config.cache
    assert cache is not None  # noqa: S101  (see install)
    return cache
