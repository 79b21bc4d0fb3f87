"""Which cases were selected and which gave a result; gates rest on nothing else."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.plugin.book import CaseRef

TRANSITION = "quant_transition"
"""The user property of a report that says how the case moved."""

STATUSES = {
    (Transition.DEGRADED.value, "passed"): ("degraded", "D", ("DEGRADED", {"yellow": True})),
    (Transition.IMPROVED.value, "passed"): ("improved", "I", ("IMPROVED", {"green": True})),
    (Transition.UNSCORED.value, "skipped"): ("unscored", "U", ("UNSCORED", {"yellow": True})),
}
"""What pytest calls a case, by transition and outcome, where that is not just passed or failed."""


class Tally:
    """Counts what arrives in reports, so that a case whose item never ran is missing and not judged.

    Attributes:
        wanted: Every selected case by node id, those of Python tests too.
        read_by_tests: Slices whose answers Python tests look at.
        skipped: How many cases were skipped before they ran: they are selected no more.
    """

    def __init__(self) -> None:
        self.wanted: dict[str, CaseRef] = {}
        self.read_by_tests: set[str] = set()
        self.skipped = 0
        self._selected: dict[tuple[str, str], dict[str, tuple[str, CaseRef]]] = defaultdict(dict)
        self._arrived: set[tuple[str, str, str]] = set()

    def select(self, nodeid: str, ref: CaseRef, *, gated: bool) -> None:
        """Note a selected item.

        Args:
            nodeid: Of the item.
            ref: What it compares.
            gated: Whether it counts for a gate: cases of slice files do, Python tests do not.
        """
        self.wanted[nodeid] = ref
        if gated:
            self._selected[ref.slice, ref.candidate][ref.case.id] = (nodeid, ref)
        else:
            self.read_by_tests.add(ref.slice)

    def note(self, report: pytest.TestReport) -> None:
        """Note a result. What was skipped before it ran was deselected by its owner, with a mark."""
        ref = self.wanted.get(report.nodeid)
        if ref is None:
            return
        if report.when == "call" and transition_of(report) is not None:
            self._arrived.add((ref.slice, ref.candidate, ref.case.id))
        elif report.when == "setup" and report.skipped:
            gated = self._selected[ref.slice, ref.candidate]
            if gated.get(ref.case.id, ("", ref))[0] == report.nodeid:  # a Python test may be of the same case
                del gated[ref.case.id]
                self.skipped += 1

    @property
    def selected(self) -> Mapping[tuple[str, str], Mapping[str, tuple[str, CaseRef]]]:
        """By slice and candidate: the selected cases by id, each with its node id, in the order of the items."""
        return {key: cases for key, cases in self._selected.items() if cases}

    @property
    def slices(self) -> tuple[str, ...]:
        """The slices that have gates, each once, in the order of the items."""
        return tuple(dict.fromkeys(name for name, _ in self.selected))

    def refs(self, slice_name: str, candidate: str) -> list[CaseRef]:
        """The selected cases of one gate."""
        return [ref for _, ref in self._selected.get((slice_name, candidate), {}).values()]

    def cases(self, slice_name: str) -> tuple[Case, ...]:
        """The cases of one slice that are selected for any candidate, in the order of the items."""
        found = {ref.case.id: ref.case for key in self._selected if key[0] == slice_name for ref in self.refs(*key)}
        return tuple(found.values())

    def arrived(self, slice_name: str, candidate: str) -> list[CaseRef]:
        """The selected cases of one gate that gave a result."""
        return [
            ref for ref in self.refs(slice_name, candidate) if (ref.slice, ref.candidate, ref.case.id) in self._arrived
        ]

    def all_selected(self) -> Iterator[tuple[str, CaseRef]]:
        """Node id and case of every selected item that counts for a gate."""
        for cases in self._selected.values():
            yield from cases.values()


def transition_of(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """The transition that a report carries."""
    for name, value in getattr(report, "user_properties", ()):
        if name == TRANSITION:
            return str(value)
    return None
