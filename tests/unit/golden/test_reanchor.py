from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pytest_quantgate.golden.compare import stand
from pytest_quantgate.golden.entries import entry_of
from pytest_quantgate.golden.model import Golden, Standing, State
from pytest_quantgate.golden.reanchor import Plan, plan, renewed
from pytest_quantgate.outcomes.model import Transition
from tests.unit.golden.build import ANCHOR, LATER, golden
from tests.unit.outcomes.build import case, outcome

CASES = {each: case(each) for each in ("same", "reworded", "drifted", "expired", "new", "unscored")}
NOW = {
    "same": outcome("+"),
    "reworded": outcome("+", text="other words"),
    "drifted": outcome("-", text="other words"),
    "expired": outcome("+"),
    "new": outcome("+"),
    "unscored": outcome("?"),
}


def made(**accepted: str) -> Golden:
    """A golden to which each case stands as its id says, and one that is not used any more."""
    then = {each: CASES[each] for each in CASES if each != "new"} | {"unused": case("unused")}
    then["expired"] = replace(then["expired"], max_new_tokens=99)
    return golden(
        Path(),
        *(
            entry_of(each, outcome("+"), transition=None, anchor=ANCHOR, accepted=accepted.get(case_id))
            for case_id, each in then.items()
        ),
    )


STANDINGS = stand(made(), list(CASES.values()), NOW)


def planned(
    *states: State,
    degraded: Collection[str] = (),
    accepted: Mapping[str, str] | None = None,
    then: Golden | None = None,
    standings: tuple[Standing, ...] = STANDINGS,
) -> Plan:
    return plan(then or made(), standings, NOW, states=states, degraded=degraded, accepted=accepted or {})


def test_the_cases_are_what_they_are_called() -> None:
    assert {each.case_id: each.state for each in STANDINGS} == {each: each for each in (*CASES, "unused")}


@pytest.mark.parametrize("state", ["new", "drifted", "expired", "reworded", "same"])
def test_the_cases_of_a_state_are_anchored_and_no_others(state: State) -> None:
    assert planned(state) == Plan(anchored=(state,))


def test_unused_entries_are_removed() -> None:
    assert planned("unused") == Plan(removed=("unused",))
    assert planned("unused").written == ("unused",)


def test_all_states_at_once_leave_alone_what_could_not_be_graded() -> None:
    found = planned(*get_args(State))
    assert found.anchored == ("same", "reworded", "drifted", "expired", "new")
    assert found.removed == ("unused",)
    assert found.unscored == ("unscored",)
    assert found.refused == ()


def test_a_new_case_without_an_answer_is_not_anchored() -> None:
    standings = stand(None, [case("new")], {})
    assert plan(None, standings, {}, states=["new"], degraded=(), accepted={}) == Plan(unscored=("new",))


def test_a_degraded_case_is_refused_until_it_is_accepted_with_a_reason() -> None:
    found = planned("drifted", "new", degraded={"drifted", "same"})
    assert found.refused == ("drifted",)
    assert found.anchored == ("new",)
    found = planned("drifted", "new", degraded={"drifted"}, accepted={"drifted": "shorter is fine", "new": "idle"})
    assert found == Plan(anchored=("drifted", "new"), accepted={"drifted": "shorter is fine"})


def test_a_reason_that_the_golden_holds_goes_on_to_hold_while_the_case_is_degraded() -> None:
    then = made(drifted="agreed in May", same="agreed in May")
    assert planned("drifted", degraded={"drifted"}, then=then).accepted == {"drifted": "agreed in May"}
    again = {"drifted": "agreed in June"}
    assert planned("drifted", degraded={"drifted"}, then=then, accepted=again).accepted == again
    assert planned("same", then=then) == Plan(anchored=("same",))  # not degraded any more: the reason goes


def test_entries_whose_standing_is_not_passed_are_left_alone() -> None:
    said_yes = tuple(each for each in STANDINGS if each.case_id == "drifted")
    found = planned(*get_args(State), standings=said_yes)
    assert found == Plan(anchored=("drifted",))


def test_a_renewed_golden_holds_what_is_so_now_under_the_new_anchor_and_the_rest_as_it_was() -> None:
    then = made(drifted="agreed in May")
    found = planned("drifted", "new", "unused", then=then, degraded={"drifted"})
    after = renewed(then, found, list(CASES.values()), NOW, transitions={"drifted": Transition.DEGRADED}, anchor=LATER)
    assert sorted(after.entries) == list(after.entries) == sorted(CASES)
    assert after.entries["new"] == entry_of(CASES["new"], NOW["new"], transition=None, anchor=LATER)
    assert after.entries["drifted"] == entry_of(
        CASES["drifted"], NOW["drifted"], transition=Transition.DEGRADED, anchor=LATER, accepted="agreed in May"
    )
    for untouched in ("same", "reworded", "expired", "unscored"):
        assert after.entries[untouched] == then.entries[untouched]
    assert (after.path, after.digest) == (then.path, then.digest)
    standings = {each.case_id: each.state for each in stand(after, list(CASES.values()), NOW)}
    assert standings["drifted"] == standings["new"] == "same"


def test_a_plan_without_changes_gives_the_same_golden() -> None:
    found = planned()
    assert found.written == ()
    assert renewed(made(), found, [], {}, transitions={}, anchor=LATER).entries == dict(sorted(made().entries.items()))
