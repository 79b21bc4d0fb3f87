from __future__ import annotations

from typing import Literal

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.tally import STATUSES, TRANSITION, Tally, transition_of

When = Literal["setup", "call", "teardown"]
Result = Literal["passed", "failed", "skipped"]


def ref(case_id: str, *, slice_name: str = "words", candidate: str = "nf4") -> CaseRef:
    case = Case(case_id, (Message("user", "say it"),), (CheckSpec("exact", {"text": "it"}),), 4)
    return CaseRef(slice_name, case, candidate)


def report(
    nodeid: str, when: When = "call", outcome: Result = "passed", transition: str | None = None
) -> pytest.TestReport:
    properties = [(TRANSITION, transition)] if transition else []
    return pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, None, when, user_properties=properties)


def tally_of(*names: str) -> Tally:
    tally = Tally()
    for name in names:
        tally.select(f"f::{name}", ref(name), gated=True)
    return tally


def arrived(tally: Tally) -> list[str]:
    return [found.case.id for found in tally.arrived("words", "nf4")]


def test_a_case_arrives_with_its_call_report() -> None:
    tally = tally_of("one", "two")
    tally.note(report("f::one", "setup"))
    assert arrived(tally) == []
    tally.note(report("f::one", transition="pass_to_pass"))
    tally.note(report("f::one", "teardown", transition="pass_to_pass"))
    assert arrived(tally) == ["one"]


def test_the_order_is_that_of_the_items_not_of_the_reports() -> None:
    tally = tally_of("one", "two")
    tally.note(report("f::two", transition="pass_to_pass"))
    tally.note(report("f::one", transition="pass_to_pass"))
    assert arrived(tally) == ["one", "two"]


def test_an_item_that_fell_over_before_comparing_is_missing() -> None:
    tally = tally_of("one")
    tally.note(report("f::one", outcome="failed"))
    assert arrived(tally) == []
    assert list(tally.selected["words", "nf4"]) == ["one"]


def test_a_case_skipped_by_a_mark_is_no_longer_selected() -> None:
    tally = tally_of("one", "two")
    tally.note(report("f::one", "setup", "skipped"))
    assert list(tally.selected["words", "nf4"]) == ["two"]


def test_a_gate_without_cases_is_none() -> None:
    tally = tally_of("one")
    tally.note(report("f::one", "setup", "skipped"))
    assert tally.selected == {}


def test_python_tests_are_wanted_and_count_for_no_gate() -> None:
    tally = Tally()
    tally.select("test_x.py::test[one]", ref("one"), gated=False)
    tally.note(report("test_x.py::test[one]", transition="pass_to_fail"))
    assert list(tally.wanted) == ["test_x.py::test[one]"]
    assert tally.selected == {}


def test_the_cases_of_a_slice_are_those_of_any_candidate_in_the_order_of_the_items() -> None:
    tally = Tally()
    for name, spec in (("one", "nf4"), ("two", "int8"), ("one", "int8")):
        tally.select(f"f::{name}[{spec}]", ref(name, candidate=spec), gated=True)
    tally.select("f::three[nf4]", ref("three", slice_name="others"), gated=True)
    assert [case.id for case in tally.cases("words")] == ["one", "two"]
    assert [found.case.id for found in tally.refs("words", "nf4")] == ["one"]
    assert tally.refs("words", "fp4") == []


def test_reports_of_others_are_ignored() -> None:
    tally = tally_of("one")
    tally.note(report("f::other", transition="pass_to_fail"))
    assert arrived(tally) == []


@pytest.mark.parametrize("candidate", ["nf4", "int8"])
def test_candidates_are_counted_apart(candidate: str) -> None:
    tally = Tally()
    for spec in ("nf4", "int8"):
        tally.select(f"f::one[{spec}]", ref("one", candidate=spec), gated=True)
    tally.note(report(f"f::one[{candidate}]", transition="pass_to_fail"))
    assert {spec: len(tally.arrived("words", spec)) for spec in ("nf4", "int8")} == {"nf4": 0, "int8": 0} | {
        candidate: 1
    }


def test_the_transition_is_read_from_the_report() -> None:
    assert transition_of(report("f", transition="pass_to_fail")) == "pass_to_fail"
    assert transition_of(report("f")) is None
    assert transition_of(pytest.CollectReport("f", "passed", None, [])) is None


def test_a_degraded_case_that_fails_is_a_failure_like_any_other() -> None:
    assert ("pass_to_fail", "failed") not in STATUSES
