"""``--quant-only``: the cases that the last run found degraded, unstable or drifted.

As ``--lf`` does with failures, every run remembers in pytest's cache what became of the cases that it ran, and leaves
alone what an earlier run remembered of the others. Workers of pytest-xdist select; only the controller remembers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plugin.collect import CaseItem
from pytest_quantgate.plugin.gates import case_nodeid

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_quantgate.plugin.session import QuantRun

REMEMBERED: Final = "quantgate/cases"
"""Key of pytest's cache: what became of each case that was degraded, improved or drifted, by node id."""

_BY_TRANSITION: Final = {
    Transition.DEGRADED: ("degraded", "unstable"),
    Transition.IMPROVED: ("unstable",),
}


def install(run: QuantRun) -> None:
    """Register what remembers a run's cases, and what selects by the last one's.

    Args:
        run: The session's run.

    Raises:
        pytest.UsageError: There is nothing to select by.
    """
    cache: pytest.Cache | None = getattr(run.config, "cache", None)
    only = run.options.only
    if cache is None:
        if only is not None:
            msg = f"--quant-only {only}: pytest's cache remembers the last run, and -p no:cacheprovider switches it off"
            raise pytest.UsageError(msg)
        return
    if run.role != "worker":
        run.config.pluginmanager.register(_Remember(run, cache), "quantgate-remember")
    if only is not None:
        remembered = _read(cache)
        if remembered is None:
            msg = f"--quant-only {only}: no run is remembered here yet: run once without it"
            raise pytest.UsageError(msg)
        chosen = frozenset(nodeid for nodeid, words in remembered.items() if only in words)
        run.config.pluginmanager.register(_Choose(run, only, chosen), "quantgate-only")


class _Remember:
    """Notes what became of the cases of a run.

    Args:
        run: The session's run.
        cache: Pytest's.
    """

    def __init__(self, run: QuantRun, cache: pytest.Cache) -> None:
        self._run = run
        self._cache = cache

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Update the cases that gave a result, behind everything that still adds to the run."""
        result = yield
        found = self._found()
        if found:
            known = {**self._still_there(), **found}
            self._cache.set(REMEMBERED, {nodeid: words for nodeid, words in sorted(known.items()) if words})
        return result

    def _found(self) -> dict[str, list[str]]:
        """What became of each case that gave a result; nothing of those that stayed as they were."""
        run = self._run
        # goldens are compared when all items have run: a run that ended before cannot tell what drifted
        before = {} if run.concluded else _read(self._cache) or {}
        arrived = {(ref.slice, ref.candidate, ref.case.id) for ref in run.arrived()}
        drifted = {
            (record.slice, record.variant, standing.case_id)
            for record in run.goldens.records
            for standing in record.standings
            if standing.state == "drifted" and standing.case_id not in record.written
        }
        found = {}
        for _, ref in run.tally.all_selected():
            if (ref.slice, ref.candidate, ref.case.id) not in arrived:
                continue
            words = [*_BY_TRANSITION.get(run.comparison(ref).transition, ())]
            sides = (run.options.reference, ref.candidate)
            nodeid = case_nodeid(run, ref)
            if "drifted" in before.get(nodeid, ()) or any((ref.slice, side, ref.case.id) in drifted for side in sides):
                words.append("drifted")
            found[nodeid] = words
        return found

    def _still_there(self) -> dict[str, list[str]]:
        """What is remembered, but for cases that are gone: their slice was selected whole, and without them."""
        run = self._run
        selected = {case_nodeid(run, ref) for _, ref in run.tally.all_selected()}
        whole = [
            (f"{run.gated[name]}::", f"[{candidate}]")
            for (name, candidate), cases in run.tally.selected.items()
            if len(cases) == len(run.book.named(name).cases)
        ]
        return {
            nodeid: words
            for nodeid, words in (_read(self._cache) or {}).items()
            if nodeid in selected or not any(nodeid.startswith(file) and nodeid.endswith(end) for file, end in whole)
        }


class _Choose:
    """Deselects everything else, ordinary tests too.

    Args:
        run: The session's run.
        only: What is asked for.
        chosen: Node ids of the cases that were so in the last run.
    """

    def __init__(self, run: QuantRun, only: str, chosen: frozenset[str]) -> None:
        self._run = run
        self._only = only
        self._chosen = chosen

    def pytest_report_header(self) -> str:
        """How many cases there are, before anything is collected."""
        count = len(self._chosen)
        return f"quantgate: only what was {self._only} in the last run: {count} case{'' if count == 1 else 's'}"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the cases that were so in the last run."""
        run = self._run
        kept = [item for item in items if isinstance(item, CaseItem) and case_nodeid(run, item.ref) in self._chosen]
        others = set(items).difference(kept)
        if others:
            run.config.hook.pytest_deselected(items=[item for item in items if item in others])
            items[:] = kept

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Say why nothing was run."""
        if exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED:
            return
        if self._chosen:
            several = len(self._chosen) > 1
            count = f"{len(self._chosen)} case{'s were' if several else ' was'}"
            text = f"{count} {self._only} in the last run, and none is selected here"
            text += ": name the candidates and paths of that run"
        else:
            text = f"no case was {self._only} in the last run: there is nothing to run"
        terminalreporter.ensure_newline()
        terminalreporter.write_line(f"quantgate: {text}", yellow=True)


def _read(cache: pytest.Cache) -> Mapping[str, list[str]] | None:
    """What is remembered; None when no run is, or when somebody else wrote there."""
    found = cache.get(REMEMBERED, None)
    if not isinstance(found, dict) or not all(isinstance(words, list) for words in found.values()):
        return None
    return found
