from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.gate.drift import DriftInput, judge_drift
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.intervals import wilson
from pytest_quantgate.outcomes.model import Comparison
from tests.unit.outcomes.build import comparison, comparisons

TOO_LITTLE = "too little can be compared with the golden"


def judged(cases: list[Comparison], policy: GatePolicy | None = None, **more: Any) -> GateResult:
    """The drift gate of a slice all of whose cases are anchored and selected."""
    selected = len(cases) + more.get("expired", 0) + more.get("missing", 0)
    chosen = {"expired": 0, "missing": 0, "selected": selected, "total": selected, **more}
    return judge_drift(DriftInput("format", "nf4", cases, policy or GatePolicy(), **chosen))


def test_what_did_not_drift_passes() -> None:
    found = judged(comparisons(pp=30, ff=10))
    assert (found.verdict, found.role, found.partial) == (Verdict.PASS, "drift", False)
    assert found.reasons == ("drifted from the golden 0 of 40 (0.0%, 95% interval 0.0-8.8%) is not above 2.0%",)
    assert (found.slice, found.candidate) == ("format", "nf4")


@pytest.mark.parametrize("moved", [{"pf": 2}, {"fp": 2}])
def test_what_drifted_too_often_fails_whether_it_got_worse_or_better(moved: dict[str, int]) -> None:
    found = judged(comparisons(pp=38, **moved))
    assert found.verdict is Verdict.FAIL
    assert found.reasons == ("drifted from the golden 2 of 40 (5.0%, 95% interval 1.4-16.5%) is above 2.0%",)


def test_a_case_that_fails_by_another_check_than_it_did_has_drifted() -> None:
    found = judged([comparison("+-", "-+")])
    assert found.verdict is Verdict.FAIL
    assert found.statistics.counts.ff == 1


def test_a_share_equal_to_the_limit_is_tolerated() -> None:
    assert judged(comparisons(pp=49, pf=1)).verdict is Verdict.PASS
    assert judged(comparisons(pp=48, pf=1)).verdict is Verdict.FAIL
    assert judged(comparisons(pf=1), GatePolicy(max_drift=1)).verdict is Verdict.PASS


def test_it_goes_by_what_was_measured_whatever_the_rule_and_however_few_cases_there_are() -> None:
    policy = GatePolicy(rule="evidence", min_cases=100)
    assert judged(comparisons(pp=1), policy).verdict is Verdict.PASS
    assert judged(comparisons(pp=1, pf=1), policy).verdict is Verdict.FAIL
    assert judged(comparisons(pp=1), policy).evidence is None


def test_a_model_that_fails_everything_as_it_did_has_not_drifted() -> None:
    assert judged(comparisons(ff=3)).verdict is Verdict.PASS


@settings(max_examples=40, deadline=None)  # scipy is imported by the first one
@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_the_finding_is_the_share_with_wilsons_interval(kept: int, drifted: int, bound: float) -> None:
    found = judged(comparisons(pp=kept, pf=drifted), GatePolicy(max_drift=bound))
    if not kept + drifted:
        assert (found.verdict, found.findings) == (Verdict.INCONCLUSIVE, ())
        return
    (finding,) = found.findings
    share = drifted / (kept + drifted)
    assert (finding.limit, finding.bound, finding.cases) == ("max_drift", bound, kept + drifted)
    assert finding.measured == share
    assert finding.interval == wilson(drifted, kept + drifted)
    assert found.verdict is (Verdict.FAIL if share > bound else Verdict.PASS)


def test_cases_that_share_a_cluster_widen_the_interval() -> None:
    alone = comparisons(pp=36, pf=4)
    together = [replace(each, case=replace(each.case, cluster=f"c{n // 4}")) for n, each in enumerate(alone)]
    apart, clustered = (judged(each).findings[0] for each in (alone, together))
    assert clustered.effective < apart.effective == 40
    assert clustered.measured == apart.measured


@pytest.mark.parametrize(
    ("cases", "more", "reasons"),
    [
        (comparisons(pp=9), {"total": 10}, ["partial selection: 9 of 10 cases"]),
        (comparisons(pp=9), {"missing": 1}, ["missing cases: 1 of 10 anchored cases gave no result"]),
        ([], {}, ["nothing can be compared with the golden: no selected case is anchored"]),
        ([], {"expired": 3}, ["nothing can be compared with the golden: 3 expired of 3 anchored cases"]),
        (
            comparisons(unscored=2),
            {"expired": 1},
            ["nothing can be compared with the golden: 1 expired and 2 unscored of 3 anchored cases"],
        ),
        (
            comparisons(pp=9),
            {"expired": 1},
            ["too little can be compared with the golden: 1 expired of 10 anchored cases (10.0%), which is above 5.0%"],
        ),
        ([], {"problem": "no memory", "missing": 4, "total": 9}, ["no memory", "partial selection: 4 of 9 cases"]),
        (
            comparisons(pp=7, unscored=2),
            {"missing": 1, "total": 12},
            [
                "partial selection: 10 of 12 cases",
                "missing cases: 1 of 10 anchored cases gave no result",
                f"{TOO_LITTLE}: 2 unscored of 10 anchored cases (20.0%), which is above 5.0%",
            ],
        ),
    ],
)
def test_nothing_is_judged_that_rests_on_too_little(
    cases: list[Comparison], more: dict[str, Any], reasons: list[str]
) -> None:
    found = judged(cases, **more)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert list(found.reasons) == reasons
    assert found.partial is ("total" in more)


def test_a_few_expired_and_unscored_cases_are_tolerated_as_the_policy_says() -> None:
    assert judged(comparisons(pp=38, unscored=1), expired=1).verdict is Verdict.PASS
    assert judged(comparisons(pp=38, unscored=1), GatePolicy(max_unscored=0), expired=1).verdict is Verdict.INCONCLUSIVE


def test_cases_that_are_not_anchored_do_not_count() -> None:
    found = judged(comparisons(pp=1), selected=500, total=500)
    assert found.verdict is Verdict.PASS
    assert found.findings[0].cases == 1
