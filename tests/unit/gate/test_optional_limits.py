"""Noise floors, clusters and indicators: limits that a policy may add, and what is measured against them."""

from __future__ import annotations

import dataclasses
from math import ceil
from typing import Any

import pytest

from pytest_quantgate.cases.model import CheckSpec
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.limits import Difference, Ratio, one_sided
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Comparison, Outcome
from tests.unit.gate.build import EVIDENCE, judged, strict
from tests.unit.outcomes.build import case, comparison, comparisons

REFUSAL = "I'm sorry, but I can't help with that."


def named(pattern: str, cases: int = 60) -> list[Comparison]:
    """Cases whose ids are stable: degraded (-) as the pattern says, the rest preserved."""
    return [comparison("+", each, f"c{place}") for place, each in enumerate(pattern.ljust(cases, "+"))]


def answered(
    before: str, after: str, number: int, *, cut: bool = False, tokens: tuple[int, int] = (5, 5)
) -> Comparison:
    def side(text: str, length: int, reason: Any) -> Outcome:
        completion = Completion(text, tuple(range(length)), reason, 3)
        return Outcome(completion, (CheckResult("json", followed=True, reason=""),), passed=True)

    asked = dataclasses.replace(case(f"c{number}"), checks=(CheckSpec("json"),))
    return Comparison(asked, side(before, tokens[0], "stop"), side(after, tokens[1], "length" if cut else "stop"))


# -- noise floor -----------------------------------------------------------------------------------------------------


def test_over_a_noise_floor_the_excess_is_judged_and_both_rates_are_told() -> None:
    result = judged(named("-" * 6), strict(max_pass_to_fail=0.06), floor=named("-" * 3))

    assert result.verdict is Verdict.PASS
    assert result.reasons[0] == (
        "PASS→FAIL 6 of 60 (10.0%), noise floor 3 of 60 (5.0%): excess 5.0%"
        " (95% interval -2.2 to 13.7%) is not above 6.0%"
    )
    assert result.reasons[1] == (
        "robustness R 0.900, of the reference against itself 0.950: net 0.950 is not below 0.00"
    )
    assert result.floor is not None
    assert (result.floor.pass_to_fail, result.floor.fail_to_pass, result.floor.cases) == (3, 0, 60)
    assert result.floor.loss == pytest.approx(0.05)


def test_what_the_floor_does_not_explain_fails() -> None:
    result = judged(named("-" * 30), EVIDENCE, floor=named("-" * 2))

    assert result.verdict is Verdict.FAIL
    assert "excess 46.7% (at least" in result.reasons[0]


def test_a_floor_of_zero_takes_as_many_cases_to_pass_as_none() -> None:
    assert judged(named("", 59), EVIDENCE, floor=named("", 59)).verdict is Verdict.PASS
    assert judged(named("", 58), EVIDENCE, floor=named("", 58)).verdict is Verdict.INCONCLUSIVE


def test_a_floor_is_paired_by_case_whatever_its_order() -> None:
    floor = named("--+-")

    assert judged(named("-+-"), EVIDENCE, floor=floor) == judged(named("-+-"), EVIDENCE, floor=floor[::-1])


def test_a_floor_that_lacks_cases_is_no_floor() -> None:
    policy = strict(max_unscored=0.05)

    few = judged(named(""), policy, floor=named("")[:50])
    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.reasons == (
        "noise floor: 10 of 60 cases were not scored when the reference answered again (16.7%), which is above 5.0%",
    )
    none = judged(named(""), policy, floor=())
    assert none.verdict is Verdict.INCONCLUSIVE
    assert none.reasons == (
        "noise floor: 60 of 60 cases were not scored when the reference answered again; 0 are left, a verdict needs 1",
    )
    assert none.findings == ()


# -- clusters --------------------------------------------------------------------------------------------------------


def clustered(degraded: int, clusters: int = 20, size: int = 3) -> list[Comparison]:
    return [
        comparison("+", "-" if number < degraded and place == 0 else "+", f"c{number}-{place}", cluster=f"k{number:03}")
        for number in range(clusters)
        for place in range(size)
    ]


def test_a_cluster_fails_when_one_of_its_cases_does() -> None:
    result = judged(clustered(3), strict(max_cluster_pass_to_fail=0.1))

    assert result.verdict is Verdict.FAIL
    assert result.reasons == ("clusters PASS→FAIL 3 of 20 (15.0%, 95% interval 5.2-36.0%) is above 10.0%",)


def test_clusters_with_an_unscored_case_are_left_out() -> None:
    cases = clustered(3)
    cases[0] = comparison("+", "?", "c0-0", cluster="k000")
    found = judged(cases, strict(max_cluster_pass_to_fail=0.1)).finding("max_cluster_pass_to_fail")

    assert found is not None
    assert found.cases == 19
    assert found.measured == pytest.approx(2 / 19)


def test_without_a_whole_cluster_the_limit_cannot_be_judged() -> None:
    result = judged(comparisons(pp=40), strict(max_cluster_pass_to_fail=0.1))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reasons == ("max_cluster_pass_to_fail cannot be judged: no cluster has two scored cases",)
    found = result.finding("max_cluster_pass_to_fail")
    assert found is not None
    assert (found.measured, found.undefined) == (None, "no cluster has two scored cases")


def test_a_limit_that_cannot_be_judged_does_not_hide_one_that_is_crossed() -> None:
    policy = strict(max_cluster_pass_to_fail=0.1, max_pass_to_fail=0.05)

    assert judged(comparisons(pp=40, pf=20), policy).verdict is Verdict.FAIL
    evidence = dataclasses.replace(policy, rule="evidence")
    assert judged(comparisons(pp=40, pf=20), evidence).verdict is Verdict.FAIL
    undecided = judged(comparisons(pp=400), evidence)
    assert undecided.verdict is Verdict.INCONCLUSIVE
    assert undecided.reasons[0] == "max_cluster_pass_to_fail cannot be judged: no cluster has two scored cases"


def test_clusters_have_a_noise_floor_too() -> None:
    result = judged(clustered(3), strict(max_cluster_pass_to_fail=0.1), floor=clustered(2))

    assert result.verdict is Verdict.PASS
    assert "clusters PASS→FAIL 3 of 20 (15.0%), noise floor 2 of 20 (10.0%): excess 5.0%" in result.reasons[2]


# -- indicators ------------------------------------------------------------------------------------------------------


def drifted(refused_before: int, refused_after: int, cases: int = 100) -> list[Comparison]:
    return [
        answered(REFUSAL if n < refused_before else "{}", REFUSAL if n < refused_after else "{}", n)
        for n in range(cases)
    ]


@pytest.mark.parametrize(("before", "after", "change"), [(2, 20, "+18.0%"), (20, 2, "-18.0%")])
def test_a_drift_of_refusals_is_limited_both_ways(before: int, after: int, change: str) -> None:
    for rule in ("point", "evidence"):
        result = judged(drifted(before, after), strict(max_refusal_drift=0.05, rule=rule))
        assert result.verdict is Verdict.FAIL
        assert result.reasons[0].startswith(f"refusal rate {before}.0% → {after}.0%: change {change} (")
        assert result.reasons[0].endswith("is beyond ±5.0%")


def test_a_small_drift_is_within_its_limit() -> None:
    point = judged(drifted(4, 6), strict(max_refusal_drift=0.05))
    evidence = judged(drifted(0, 0), strict(max_refusal_drift=0.05, rule="evidence"))

    assert point.verdict is evidence.verdict is Verdict.PASS
    assert point.reasons[-1].endswith("is within ±5.0%")
    assert evidence.reasons[0] == "refusal rate 0.0% → 0.0%: change +0.0% (from -3.0% to +3.0%) is within ±5.0%"


def test_too_few_cases_prove_no_drift_to_be_small() -> None:
    result = judged(drifted(0, 0, 30), strict(max_refusal_drift=0.05, rule="evidence"))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "is not proven on either side of ±5.0%" in result.reasons[0]


@pytest.mark.parametrize(("moved", "limit"), [(1, 0.15), (5, 0.1)], ids=["within", "beyond"])
def test_as_many_cases_as_a_drift_needs_decide_whichever_way_it_goes(moved: int, limit: float) -> None:
    policy = strict(max_refusal_drift=limit, rule="evidence")
    said = set()
    for before, after in ((0, moved), (moved, 0)):
        few = judged(drifted(before, after, 20), policy)
        assert few.verdict is Verdict.INCONCLUSIVE
        found = few.finding("max_refusal_drift")
        assert found is not None
        assert found.needed is not None
        assert found.needed > 20
        said.add(found.needed)
        times = ceil(found.needed / 20)
        many = judged(drifted(before * times, after * times, 20 * times), policy)
        assert many.verdict is (Verdict.FAIL if moved / 20 > limit else Verdict.PASS)
    assert len(said) == 1


@pytest.mark.parametrize("cases", [20, 60, 200])
@pytest.mark.parametrize("bound", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("rises", [0, 1, 3])
@pytest.mark.parametrize("falls", [0, 2, 4, 10])
def test_an_undecided_drift_needs_more_cases_than_it_has(cases: int, bound: float, rises: int, falls: int) -> None:
    def drift(times: int) -> Difference:
        count = cases * times
        up, down = rises * times, falls * times
        first = [1.0] * up + [0.0] * (count - up)
        second = [0.0] * (count - down) + [1.0] * down
        return Difference(first, second, range(count), bound, both_ways=True)

    def p_value(measure: Difference) -> float:
        return measure.p_above() if measure.beyond() else measure.p_below()

    needed = drift(1).needed(0.05)
    if needed is None:
        assert abs(drift(1).value) == pytest.approx(bound)
        return
    assert (p_value(drift(1)) <= 0.05) or needed > cases
    assert p_value(drift(ceil(needed / cases))) <= 0.05


def test_over_refusals_format_retries_truncations_are_increases() -> None:
    cut = [answered("{}", "{}", n, cut=n < 20) for n in range(100)]
    result = judged(cut, strict(max_truncation_increase=0.1, max_over_refusal_increase=0.1, max_loop_increase=0.1))

    assert result.verdict is Verdict.FAIL
    assert result.reasons == ("truncation rate 0.0% → 20.0%: change 20.0% (95% interval 12.4-28.9%) is above 10.0%",)
    fewer = judged(drifted(20, 0), strict(max_over_refusal_increase=0.0))
    assert fewer.verdict is Verdict.PASS  # a decrease is no matter of an increase's limit


def test_a_length_ratio_is_limited_from_above() -> None:
    longer = [answered("{}", "{}", n, tokens=(10 + n % 3, 14 + n % 5)) for n in range(60)]
    point = judged(longer, strict(max_length_ratio=1.2))
    proven = judged(longer, strict(max_length_ratio=1.2, rule="evidence"))
    kept = judged(longer, strict(max_length_ratio=1.8, rule="evidence"))

    assert point.verdict is proven.verdict is Verdict.FAIL
    assert point.reasons[0].startswith("mean output tokens 11.0 → 16.0: ratio 1.45 (95% interval 1.4")
    assert proven.reasons[0] == "mean output tokens 11.0 → 16.0: ratio 1.45 (at least 1.42) is above 1.20"
    assert kept.verdict is Verdict.PASS


def test_answers_of_one_length_prove_a_ratio_as_signs_do() -> None:
    same = [answered("{}", "{}", n) for n in range(40)]

    for rule in ("point", "evidence"):
        assert judged(same, strict(max_length_ratio=1.2, rule=rule)).verdict is Verdict.PASS
        assert judged(same, strict(max_length_ratio=0.8, rule=rule)).verdict is Verdict.FAIL
    assert judged(same[:3], strict(max_length_ratio=1.2, rule="evidence")).verdict is Verdict.INCONCLUSIVE


def test_a_bound_of_a_ratio_never_contradicts_its_test() -> None:
    # two long answers hide that a ratio of 0 is refuted, and not that 0.8 is
    ratio = Ratio([1000, 1000, 40, 70], [1000, 1000, 20, 20], range(4), 0.8)

    assert ratio.tests(0)[0] > 0.05 > ratio.p_above()
    assert 0.8 < one_sided(ratio, 0.05)[0] < ratio.value


def test_uncounted_tokens_leave_the_ratio_unjudged() -> None:
    silent = [answered("{}", "{}", n, tokens=(0, 0)) for n in range(40)]
    result = judged(silent, strict(max_length_ratio=1.2))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reasons[0].startswith("max_length_ratio cannot be judged: ")
