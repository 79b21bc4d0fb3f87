"""Which cases a run would anchor anew, and which it must not: pure, nothing is written here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_quantgate.golden.entries import entry_of

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.golden.model import Anchor, Golden, Standing, State
    from pytest_quantgate.outcomes.model import Outcome, Transition

ANCHORABLE: Final[tuple[State, ...]] = ("new", "drifted", "expired", "unused")
"""What ``--quant-reanchor`` can name, and what a review asks about."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would become of one golden.

    Attributes:
        anchored: Ids of the cases that are anchored anew, in the order of the slice.
        removed: Ids of the entries that are dropped, sorted.
        unscored: Ids of cases that were asked for and could not be graded: their entries, if any, stay.
        refused: Ids of degraded cases that nobody has accepted; while there is one, nothing is to be written.
        accepted: Why cases are anchored although they are degraded, by id.
    """

    anchored: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def written(self) -> tuple[str, ...]:
        """Ids of all entries that change; none when there is nothing to write."""
        return (*self.anchored, *self.removed)


def plan(
    golden: Golden | None,
    standings: Sequence[Standing],
    outcomes: Mapping[str, Outcome],
    *,
    states: Collection[State],
    degraded: Collection[str],
    accepted: Mapping[str, str],
) -> Plan:
    """Say what re-anchoring would do. Entries whose standing is not passed are left alone.

    Args:
        golden: The golden as it was read; None when there is none.
        standings: How the cases stand to it, those of them that may change.
        outcomes: What the variant does now, by case id.
        states: Which of them are anchored anew; of ``unused`` ones the entries are dropped.
        degraded: Ids of the cases that the gate of the variant calls degraded; none for the reference.
        accepted: Why some of them may be anchored all the same, by case id. A reason that the golden already holds
            goes on to hold while the case is degraded.
    """
    kept = {} if golden is None else {each.id: each.accepted for each in golden.entries.values() if each.accepted}
    chosen = [each for each in standings if each.state in states]
    graded = {case_id for case_id, outcome in outcomes.items() if outcome.passed is not None}
    there = [each.case_id for each in chosen if each.state != "unused"]
    bad = [case_id for case_id in there if case_id in degraded]
    reasons = {case_id: accepted.get(case_id) or kept.get(case_id) for case_id in bad}
    return Plan(
        anchored=tuple(each for each in there if each in graded and (each not in reasons or reasons[each])),
        removed=tuple(sorted(each.case_id for each in chosen if each.state == "unused")),
        unscored=tuple(each for each in there if each not in graded),
        refused=tuple(case_id for case_id, reason in reasons.items() if not reason),
        accepted={case_id: reason for case_id, reason in reasons.items() if reason},
    )


def renewed(
    golden: Golden,
    planned: Plan,
    cases: Sequence[Case],
    outcomes: Mapping[str, Outcome],
    *,
    transitions: Mapping[str, Transition],
    anchor: Anchor,
) -> Golden:
    """The golden as a plan makes it; still to be written.

    Args:
        golden: The golden as it was read; an empty one when there is none.
        planned: The plan.
        cases: At least the cases that are anchored.
        outcomes: What the variant does now, by case id.
        transitions: How cases moved from the reference, by id; none for the reference.
        anchor: When, by whom and from which run.
    """
    by_id = {case.id: case for case in cases}
    entries = {case_id: entry for case_id, entry in golden.entries.items() if case_id not in planned.removed}
    for case_id in planned.anchored:
        entries[case_id] = entry_of(
            by_id[case_id],
            outcomes[case_id],
            transition=transitions.get(case_id),
            anchor=anchor,
            accepted=planned.accepted.get(case_id),
        )
    return replace(golden, entries=dict(sorted(entries.items())))
