from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.outcomes.statistics import Interval, robustness_coefficient, summarize, wilson
from tests.unit.outcomes.build import comparison, comparisons
from tests.unit.outcomes.test_transitions import LLAMA, MISTRAL, pairs


@pytest.mark.parametrize(
    ("stability", "mean_violation", "expected"),
    # METRICS.md rounds to 0.94668 and 0.90777; the paper prints 94.7% and 90.8%
    [(MISTRAL.stability, 0.395, 0.946675), (LLAMA.stability, 0.645, 0.907765)],
    ids=["mistral", "llama"],
)
def test_the_papers_inputs_give_the_robustness_of_the_definition(
    stability: float, mean_violation: float, expected: float
) -> None:
    assert robustness_coefficient(stability, mean_violation) == pytest.approx(expected, abs=1e-12)


def test_robustness_averages_violations_over_degraded_and_improved_cases() -> None:
    statistics = summarize(
        [
            comparison("++++", "++++"),
            comparison("++++", "+---"),  # degraded, violates 3 of 4
            comparison("++++", "++--"),  # degraded, violates 2 of 4
            comparison("++-+", "++++"),  # improved, violates nothing
        ]
    )

    assert statistics.robustness == pytest.approx(1 / 4 + (1 - (0.75 + 0.5 + 0) / 3) * 3 / 4)
    assert statistics.robustness_degraded == pytest.approx(1 / 4 + (1 - (0.75 + 0.5) / 2) * 3 / 4)
    assert statistics.partial_compliance == pytest.approx((0.25 + 0.5) / 2)


def test_a_slice_where_nothing_changed_is_fully_robust() -> None:
    statistics = summarize(comparisons(pp=3, ff=2))

    assert statistics.robustness == 1
    assert statistics.robustness_degraded == 1
    assert statistics.partial_compliance is None


def test_the_degraded_only_robustness_is_undefined_when_cases_only_improved() -> None:
    statistics = summarize(comparisons(pp=3, fp=2))

    assert statistics.robustness == 1
    assert statistics.robustness_degraded is None


@pytest.mark.parametrize("unscored", [0, 4])
def test_nothing_is_defined_without_a_scored_case(unscored: int) -> None:
    statistics = summarize(comparisons(unscored=unscored))

    assert statistics.counts.n == 0
    assert statistics.unscored == unscored
    assert statistics.robustness is None
    assert statistics.robustness_degraded is None
    assert statistics.partial_compliance is None
    assert statistics.pattern_stability is None
    assert statistics.reference_compliance is None
    assert statistics.candidate_compliance is None


def test_a_failing_case_that_fails_otherwise_is_stable_but_its_pattern_is_not() -> None:
    statistics = summarize([comparison("+-", "-+"), comparison("++", "++")])

    assert statistics.counts.stability == 1
    assert statistics.pattern_stability == 0.5


def test_compliance_is_the_share_of_all_checks_and_leaves_unscored_cases_out() -> None:
    statistics = summarize([comparison("++++", "+++-"), comparison("-", "+"), comparison("++", "-?")])

    assert statistics.reference_compliance == 4 / 5
    assert statistics.candidate_compliance == 4 / 5
    assert statistics.unscored == 1


@given(pairs)
def test_shares_stay_between_zero_and_one(sides: list[tuple[str, str]]) -> None:
    statistics = summarize(comparison(before, after) for before, after in sides)
    shares = (
        statistics.robustness,
        statistics.robustness_degraded,
        statistics.partial_compliance,
        statistics.pattern_stability,
        statistics.reference_compliance,
        statistics.candidate_compliance,
    )

    assert all(0 <= share <= 1 for share in shares if share is not None)


@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(sides: list[tuple[str, str]], chance: random.Random) -> None:
    ordered = [comparison(before, after) for before, after in sides]
    shuffled = chance.sample(ordered, len(ordered))

    assert summarize(shuffled) == summarize(ordered)


@given(pairs)
def test_a_variant_compared_with_itself_is_fully_robust(sides: list[tuple[str, str]]) -> None:
    statistics = summarize(comparison(before, before) for before, _ in sides)

    assert statistics.robustness in {None, 1}
    assert statistics.pattern_stability in {None, 1}


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(k: int, n: int, low: float, high: float) -> None:
    interval = wilson(k, n)

    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_no_interval_without_cases() -> None:
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_rate_and_mirrors(observed: tuple[int, int]) -> None:
    k, n = observed
    interval, mirrored = wilson(k, n), wilson(n - k, n)

    assert isinstance(interval, Interval)
    assert isinstance(mirrored, Interval)
    assert 0 <= interval.low <= k / n <= interval.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - interval.high, 1 - interval.low))
