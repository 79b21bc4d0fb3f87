"""The rule ``point``, and everything that keeps a gate from being judged under any rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from tests.unit.gate.build import LENIENT, judged, strict
from tests.unit.outcomes.build import comparison, comparisons


def test_a_rate_above_its_limit_fails_with_count_rate_interval_and_limit() -> None:
    result = judged(comparisons(pp=55, pf=5), strict(max_pass_to_fail=0.02))

    assert result.verdict is Verdict.FAIL
    assert result.reasons == ("PASS→FAIL 5 of 60 (8.3%, 95% interval 3.6-18.1%) is above 2.0%",)


def test_a_robustness_below_its_limit_fails() -> None:
    result = judged(comparisons(pp=54, pf=6), strict(min_robustness=0.95))

    assert result.verdict is Verdict.FAIL
    assert result.reasons == ("robustness R 0.900 is below 0.95",)


def test_both_limits_are_named_when_both_are_crossed() -> None:
    result = judged(comparisons(pp=50, pf=10), GatePolicy())

    assert result.verdict is Verdict.FAIL
    assert len(result.reasons) == 2


def test_a_pass_says_what_was_measured_too() -> None:
    result = judged(comparisons(pp=59, pf=1), GatePolicy())

    assert result.verdict is Verdict.PASS
    assert result.reasons == (
        "PASS→FAIL 1 of 60 (1.7%, 95% interval 0.3-8.9%) is not above 5.0%",
        "robustness R 0.983 is not below 0.90",
    )


@pytest.mark.parametrize(("pf", "n", "limit"), [(3, 60, 0.05), (7, 100, 0.07), (3, 10, 0.1 + 0.2), (3, 10, 0.3)])
def test_a_rate_equal_to_its_limit_passes(pf: int, n: int, limit: float) -> None:
    result = judged(comparisons(pp=n - pf, pf=pf), strict(max_pass_to_fail=limit))

    assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(("pf", "n", "limit"), [(3, 10, 0.7), (1, 10, 0.9), (6, 60, 0.9), (21, 70, 0.7)])
def test_a_robustness_equal_to_its_limit_passes(pf: int, n: int, limit: float) -> None:
    result = judged(comparisons(pp=n - pf, pf=pf), strict(min_robustness=limit))

    assert result.verdict is Verdict.PASS


def test_a_crossed_limit_and_its_measure_never_read_alike() -> None:
    result = judged(comparisons(pp=4749, pf=251), strict(max_pass_to_fail=0.05))

    assert "(5.02%, " in result.reasons[0]
    assert result.reasons[0].endswith("is above 5.0%")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            judged(comparisons(pp=40), GatePolicy(), problem="model.safetensors: the file is truncated"),
            "model.safetensors: the file is truncated",
        ),
        (judged(comparisons(pp=40), GatePolicy(), total=60), "partial selection: 40 of 60 cases"),
        (judged(comparisons(pp=40), GatePolicy(), selected=60), "missing cases: 20 of 60 gave no result"),
        (judged(comparisons(pp=12), GatePolicy()), "too few cases: 12 scored, a verdict needs 30"),
        (
            judged(comparisons(ff=40, fp=2), GatePolicy()),
            "the reference passes none of 42 cases, so none could get worse",
        ),
        (
            judged(comparisons(pp=36, unscored=4), GatePolicy()),
            "unscored cases: 4 of 40 (10.0%) is above 5.0%; most often: check1: not scorable",
        ),
    ],
    ids=["problem", "partial", "missing", "few", "reference", "unscored"],
)
def test_nothing_is_judged_on_too_little(result: GateResult, reason: str) -> None:
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reasons == (reason,)


def test_a_partial_selection_is_inconclusive_even_when_every_selected_case_degraded() -> None:
    result = judged(comparisons(pf=40), GatePolicy(), total=60)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.partial


def test_every_reason_that_applies_is_given() -> None:
    result = judged(comparisons(ff=5, unscored=5), GatePolicy(), selected=20, total=60)

    assert [reason.split()[0] for reason in result.reasons] == ["partial", "missing", "too", "the", "unscored"]


def test_what_is_missing_because_of_a_problem_is_not_told_beside_it() -> None:
    result = judged([], GatePolicy(), selected=20, total=20, problem="out of memory")

    assert result.reasons == ("out of memory",)


def test_no_cases_at_all_are_inconclusive_and_nothing_is_measured() -> None:
    result = judged([], LENIENT)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings == ()
    assert result.finding("max_pass_to_fail") is None


def test_an_unscored_share_equal_to_its_limit_is_judged() -> None:
    result = judged(comparisons(pp=57, unscored=3), GatePolicy(max_unscored=0.05))

    assert result.verdict is Verdict.PASS
    assert result.statistics.unscored == 3


def test_the_most_frequent_reason_does_not_depend_on_the_order_of_the_cases() -> None:
    cases = [*comparisons(pp=40), comparison("+?", "++"), comparison("?+", "++"), comparison("++", "+?")]
    policy = GatePolicy(max_unscored=0.01)

    assert judged(cases, policy).reasons == judged(cases[::-1], policy).reasons
    assert judged(cases, policy).reasons[0].endswith("most often: check2: not scorable")
    assert judged(cases[:-1], policy).reasons == judged(cases[-2::-1], policy).reasons


@pytest.mark.parametrize(
    ("pf", "n", "limit", "cases"),
    [
        (5, 60, 0.02, 19),  # decided already: fewer than 60
        (1, 60, 0.05, 165),
        (0, 60, 0.05, 73),
        (3, 60, 0.05, None),  # equal: no number of cases decides
        (0, 60, 0.0, None),
        (1, 60, 0.0, 1),  # one degraded case refutes "none"
    ],
)
def test_the_cases_that_would_decide(pf: int, n: int, limit: float, cases: int | None) -> None:
    result = judged(comparisons(pp=n - pf, pf=pf), strict(max_pass_to_fail=limit))

    found = result.finding("max_pass_to_fail")
    assert found is not None
    assert found.needed == cases


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_the_interval_excludes_the_limit_exactly_from_that_many_cases_on(pp: int, pf: int, limit: float) -> None:
    result = judged(comparisons(pp=pp, pf=pf), strict(max_pass_to_fail=limit))
    found = result.finding("max_pass_to_fail")
    assert found is not None
    interval = found.interval
    assert interval is not None
    decided = not interval.low - 1e-9 <= limit <= interval.high + 1e-9
    on_the_edge = min(abs(interval.low - limit), abs(interval.high - limit)) < 1e-9

    assert on_the_edge or decided == (found.needed is not None and found.needed <= pp + pf)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 10))
def test_a_gate_passes_only_with_enough_cases_and_a_reference_that_passes_some(
    pp: int, ff: int, pf: int, fp: int, unscored: int
) -> None:
    result = judged(comparisons(pp=pp, ff=ff, pf=pf, fp=fp, unscored=unscored), GatePolicy())

    assert result.reasons
    if result.verdict is Verdict.PASS:
        assert pp + ff + pf + fp >= 30
        assert pp + pf > 0
        assert pf <= 0.05 * (pp + ff + pf + fp) + 1e-9
