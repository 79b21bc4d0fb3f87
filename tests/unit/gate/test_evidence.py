"""The rule ``evidence``: verdicts that are proven, over families of gates."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.judge import check_alpha, judge
from pytest_quantgate.gate.model import GateInput, Look, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from tests.unit.gate.build import EVIDENCE, counted, gate, judged
from tests.unit.outcomes.build import comparison, comparisons

counts = st.lists(st.tuples(st.integers(1, 120), st.integers(0, 40)), min_size=1, max_size=5)


def family(drawn: list[tuple[int, int]]) -> list[GateInput]:
    return [counted(pp=pp, pf=pf, candidate=f"c{place}") for place, (pp, pf) in enumerate(drawn)]


@pytest.mark.parametrize(
    ("pp", "pf", "verdict", "reason"),
    [
        (45, 15, Verdict.FAIL, "PASS→FAIL 15 of 60 (25.0%, at least 16.1%) is above 5.0%"),
        (60, 0, Verdict.PASS, "PASS→FAIL 0 of 60 (0.0%, at most 4.9%) is below 5.0%"),
        (
            55,
            5,
            Verdict.INCONCLUSIVE,
            "PASS→FAIL 5 of 60 (8.3%, from 3.3% to 16.7%) is not proven on either side of 5.0%: about 157 cases",
        ),
        (
            57,
            3,
            Verdict.INCONCLUSIVE,
            "PASS→FAIL 3 of 60 (5.0%, from 1.4% to 12.4%) is not proven on either side of 5.0%: no number of cases",
        ),
    ],
)
def test_a_verdict_names_its_bound(pp: int, pf: int, verdict: Verdict, reason: str) -> None:
    result = judged(comparisons(pp=pp, pf=pf), EVIDENCE)

    assert result.verdict is verdict
    assert result.reasons[0].startswith(reason)
    assert result.reasons[1].startswith("evidence: p")
    assert result.reasons[1].endswith("adjusted for 1 gate, at alpha 0.05")


def test_one_case_fewer_is_not_enough_to_pass() -> None:
    assert judged(comparisons(pp=59), EVIDENCE).verdict is Verdict.PASS
    assert judged(comparisons(pp=58), EVIDENCE).verdict is Verdict.INCONCLUSIVE


def test_p_values_are_the_exact_binomial_tails() -> None:
    found = judged(comparisons(pp=55, pf=5), EVIDENCE).finding("max_pass_to_fail")

    assert found is not None
    assert found.p_above == pytest.approx(0.180335, abs=1e-6)  # P(X >= 5) of 60 at 5%
    assert found.p_below == pytest.approx(0.921281, abs=1e-6)  # P(X <= 5)


def test_what_passes_alone_may_be_undecided_among_others() -> None:
    alone = judge([counted(pp=60)])
    among = judge(family([(60, 0)] * 4))

    assert alone[0].verdict is Verdict.PASS
    assert {result.verdict for result in among} == {Verdict.INCONCLUSIVE}
    assert among[0].evidence is not None
    assert among[0].evidence.gates == 4
    assert among[0].evidence.p_pass == pytest.approx(4 * 0.0460698, rel=1e-4)


def test_holm_lets_a_gate_profit_from_what_is_proven_beside_it() -> None:
    results = judge([counted(pp=400), counted(pp=60, candidate="b")])

    assert [result.verdict for result in results] == [Verdict.PASS, Verdict.PASS]
    assert "at most 4.9%" in results[1].reasons[0]  # tested at alpha, not at half of it


def test_only_gates_of_the_same_role_and_rule_are_a_family() -> None:
    point = GatePolicy(min_cases=1)
    results = judge(
        [
            counted(pp=60),
            counted(pp=30, pf=30, role="positive control", candidate="ruin"),
            counted(pp=60, role="negative control", candidate="same"),
            counted(point, pp=60, slice="other"),
        ]
    )

    assert [result.evidence and result.evidence.gates for result in results] == [1, 1, 1, None]
    assert [result.verdict for result in results] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS, Verdict.PASS]


def test_alpha_decides_how_sure_a_verdict_must_be() -> None:
    assert judge([counted(pp=60)], alpha=0.01)[0].verdict is Verdict.INCONCLUSIVE
    assert judge([counted(pp=60)], alpha=0.2)[0].verdict is Verdict.PASS


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.5, 1.0, float("nan")])
def test_an_alpha_that_proves_everything_or_nothing_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="--quant-alpha: alpha is"):
        check_alpha(alpha, "--quant-alpha")


def test_a_limit_of_zero_is_never_proven_and_crossed_by_one_case() -> None:
    strict = dataclasses.replace(EVIDENCE, max_pass_to_fail=0.0)

    assert judged(comparisons(pp=5000), strict).verdict is Verdict.INCONCLUSIVE
    assert judged(comparisons(pp=5000, pf=1), strict).verdict is Verdict.FAIL


def test_limits_that_tolerate_everything_pass() -> None:
    assert judged(comparisons(pf=9, pp=1), dataclasses.replace(EVIDENCE, max_pass_to_fail=1.0)).verdict is Verdict.PASS


def test_a_limit_that_another_one_implies_is_not_tested_beside_it() -> None:
    one_check = [comparison("+", "-" if place < 12 else "+", f"c{place}") for place in range(100)]
    looser = dataclasses.replace(EVIDENCE, min_robustness=0.9)
    stricter = dataclasses.replace(EVIDENCE, max_pass_to_fail=0.05, min_robustness=0.98)

    alone = judged(one_check, EVIDENCE)
    assert judged(one_check, looser).evidence == alone.evidence
    assert [reason.split()[0] for reason in judged(one_check, stricter).reasons] == ["robustness", "evidence:"]


def test_limits_that_differ_by_rounding_alone_are_one() -> None:
    cases = [comparison("+++", "--+" if place < 30 else "+++", f"c{place}") for place in range(100)]
    result = judged(cases, dataclasses.replace(EVIDENCE, max_pass_to_fail=0.1, min_robustness=0.9))
    rate = result.finding("max_pass_to_fail")

    assert result.evidence is not None
    assert rate is not None
    assert result.evidence.p_fail == rate.p_above


def test_two_limits_share_what_may_be_spent_on_a_failure() -> None:
    # three checks a case, so that R and the rate are different measures
    cases = [comparison("+++", "--+" if place < 12 else "+++", f"c{place}") for place in range(100)]
    both = judged(cases, dataclasses.replace(EVIDENCE, min_robustness=0.97))
    one = judged(cases, EVIDENCE)
    found = [both.finding("max_pass_to_fail"), both.finding("min_robustness")]

    assert both.evidence is not None
    assert one.evidence is not None
    assert both.evidence.looks[0].p_fail == pytest.approx(2 * min(each.p_above or 1 for each in found if each))
    assert both.evidence.looks[0].p_pass == max(each.p_below or 0 for each in found if each)


def test_a_pass_needs_every_limit_proven() -> None:
    cases = [comparison("++", "+-" if place < 4 else "++", f"c{place}") for place in range(200)]
    policy = dataclasses.replace(EVIDENCE, min_robustness=0.985)

    assert judged(cases, EVIDENCE).verdict is Verdict.PASS
    result = judged(cases, policy)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [reason.split()[0] for reason in result.reasons] == ["robustness", "evidence:"]


def test_cases_that_share_clusters_prove_less() -> None:
    alone = comparisons(pp=90)
    clustered = [comparison("+", "+", f"c{place}", cluster=f"k{place // 3}") for place in range(90)]
    found = judged(clustered, EVIDENCE).finding("max_pass_to_fail")

    assert judged(alone, EVIDENCE).verdict is Verdict.PASS
    assert judged(clustered, EVIDENCE).verdict is Verdict.INCONCLUSIVE
    assert found is not None
    assert (found.cases, found.effective, found.needed) == (90, 30, 177)


def test_what_cannot_be_judged_proves_nothing_but_counts() -> None:
    broken = counted(pp=0, pf=60, candidate="b", problem="out of memory")
    results = judge([counted(pp=60), broken])

    assert results[0].verdict is Verdict.INCONCLUSIVE  # two gates
    assert results[1].reasons == ("out of memory",)
    assert results[1].evidence is not None
    assert (results[1].evidence.p_fail, results[1].evidence.p_pass) == (1.0, 1.0)


# -- looks -----------------------------------------------------------------------------------------------------------


def test_a_look_must_be_surer_than_its_share() -> None:
    assert judged(comparisons(pp=60), EVIDENCE, share=0.5).verdict is Verdict.INCONCLUSIVE
    assert judged(comparisons(pp=80), EVIDENCE, share=0.5).verdict is Verdict.PASS


def test_a_look_that_is_not_the_last_is_no_partial_selection() -> None:
    result = judged(comparisons(pp=200), EVIDENCE, selected=200, planned=600, total=600, share=0.15)

    assert result.verdict is Verdict.PASS
    assert not result.partial
    assert result.evidence is not None
    assert (result.evidence.looks[-1].cases, result.evidence.planned) == (200, 600)


def test_a_part_of_a_slice_is_partial_at_every_look() -> None:
    result = judged(comparisons(pp=200), EVIDENCE, selected=200, planned=300, total=600, share=0.15)

    assert result.reasons[0] == "partial selection: 300 of 600 cases"
    assert result.partial


def test_what_an_earlier_look_proved_stays_proven() -> None:
    earlier = (Look(60, 0.4, 1e-6, 1.0),)
    result = judged(comparisons(pp=114, pf=6), EVIDENCE, earlier=earlier, share=0.6)

    assert result.verdict is Verdict.FAIL
    assert result.reasons[0].startswith("decided by the look at 60 cases; now PASS→FAIL 6 of 120 (5.0%")


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=4))
def test_more_looks_never_make_a_p_value_larger(parts: list[tuple[int, int]]) -> None:
    looks: tuple[Look, ...] = ()
    before = (1.0, 1.0)
    pp = pf = 0
    for more_pp, more_pf in parts:
        pp, pf = pp + more_pp + 1, pf + more_pf
        result = judged(comparisons(pp=pp, pf=pf), EVIDENCE, share=0.25, earlier=looks)
        assert result.evidence is not None
        looks = result.evidence.looks
        now = (result.evidence.p_fail, result.evidence.p_pass)
        assert now[0] <= before[0]
        assert now[1] <= before[1]
        before = now
    assert [look.cases for look in looks] == sorted(look.cases for look in looks)


# -- properties ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(counts, st.randoms(use_true_random=False))
def test_the_order_of_gates_and_cases_changes_nothing(drawn: list[tuple[int, int]], chance: random.Random) -> None:
    gates = family(drawn)
    mixed = [
        dataclasses.replace(each, comparisons=chance.sample(list(each.comparisons), len(each.comparisons)))
        for each in chance.sample(gates, len(gates))
    ]

    before = {result.candidate: result for result in judge(gates)}
    assert {result.candidate: result for result in judge(mixed)} == before


@settings(deadline=None, max_examples=40)
@given(counts)
def test_a_gate_alone_is_never_harder_than_among_others(drawn: list[tuple[int, int]]) -> None:
    gates = family(drawn)
    for among, each in zip(judge(gates), gates, strict=True):
        (alone,) = judge([each])
        if among.verdict is not Verdict.INCONCLUSIVE:
            assert alone.verdict is among.verdict


@settings(deadline=None, max_examples=60)
@given(counts, st.floats(0.01, 0.3))
def test_what_is_proven_is_what_was_measured(drawn: list[tuple[int, int]], limit: float) -> None:
    policy = dataclasses.replace(EVIDENCE, max_pass_to_fail=limit)
    for result in judge([dataclasses.replace(each, policy=policy) for each in family(drawn)]):
        found = result.finding("max_pass_to_fail")
        assert found is not None
        assert found.measured is not None
        if result.verdict is Verdict.FAIL:
            assert found.measured > limit
        if result.verdict is Verdict.PASS:
            assert found.measured < limit


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 12), st.integers(1, 100))
def test_as_many_cases_as_are_needed_decide(pf: int, pp: int) -> None:
    result = judged(comparisons(pp=pp, pf=pf), EVIDENCE)
    found = result.finding("max_pass_to_fail")
    assert found is not None
    assert (result.verdict is not Verdict.INCONCLUSIVE) == (found.needed is not None and found.needed <= pp + pf)


@settings(deadline=None, max_examples=40)
@given(counts, counts)
def test_false_alarms_of_controls_are_no_matter_of_candidates(
    drawn: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    controls = [dataclasses.replace(each, role="positive control", slice="other") for each in family(others)]

    assert judge([*family(drawn), *controls])[: len(drawn)] == judge(family(drawn))


def test_no_gates_give_no_results() -> None:
    assert judge([]) == ()


def test_no_cases_prove_nothing() -> None:
    result = judged([], GatePolicy(rule="evidence", min_cases=1))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.findings == ()
    assert gate([], EVIDENCE).comparisons == []
