"""What must hold of intervals and tests whatever was counted."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pytest_quantgate.outcomes.bootstrap import ratio_interval
from pytest_quantgate.outcomes.intervals import Interval, clopper_pearson, newcombe_independent, newcombe_paired, wilson
from pytest_quantgate.outcomes.significance import (
    bonferroni,
    holm,
    mcnemar_exact,
    p_at_least,
    p_at_most,
)

ROUNDING = 1e-9

counted = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
weighed = st.floats(0.5, 2000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n)))
limits = st.floats(1e-4, 1 - 1e-4)
confidences = st.floats(0.5, 0.999)
values = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0])
paired = st.lists(st.tuples(values, values), min_size=1, max_size=40)
p_lists = st.lists(st.floats(0, 1), max_size=20)


def width(interval: Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


def sides(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


def difference(pairs: list[tuple[float, float]]) -> float:
    return sum(first - second for first, second in pairs) / len(pairs)


@given(counted | weighed, confidences)
def test_intervals_of_a_share_contain_it_and_stay_on_the_scale(
    observed: tuple[float, float], confidence: float
) -> None:
    k, n = observed
    for interval in (wilson(k, n, confidence), clopper_pearson(k, n, confidence)):
        assert interval is not None
        assert 0 <= interval.low <= k / n + ROUNDING
        assert k / n - ROUNDING <= interval.high <= 1


@given(counted)
def test_intervals_of_a_share_mirror(observed: tuple[int, int]) -> None:
    k, n = observed
    for method in (wilson, clopper_pearson):
        interval, mirrored = method(k, n), method(n - k, n)
        assert interval is not None
        assert mirrored is not None
        assert (mirrored.low, mirrored.high) == pytest.approx((1 - interval.high, 1 - interval.low), abs=ROUNDING)


@given(counted, st.integers(2, 10))
def test_intervals_of_a_share_shrink_with_the_cases(observed: tuple[int, int], times: int) -> None:
    k, n = observed
    for method in (wilson, clopper_pearson):
        assert width(method(k * times, n * times)) < width(method(k, n))


@given(counted, st.floats(0.5, 0.9), st.floats(0.01, 0.09))
def test_intervals_of_a_share_grow_with_the_confidence(
    observed: tuple[int, int], confidence: float, more: float
) -> None:
    k, n = observed
    for method in (wilson, clopper_pearson):
        assert width(method(k, n, confidence)) < width(method(k, n, confidence + more))


@given(paired, confidences)
def test_the_paired_interval_contains_the_difference_and_stays_on_the_scale(
    pairs: list[tuple[float, float]], confidence: float
) -> None:
    interval = newcombe_paired(*sides(pairs), confidence)

    assert interval is not None
    assert -1 <= interval.low <= difference(pairs) + ROUNDING
    assert difference(pairs) - ROUNDING <= interval.high <= 1


@given(paired, st.integers(2, 5))
def test_the_paired_interval_shrinks_with_the_cases(pairs: list[tuple[float, float]], times: int) -> None:
    assert width(newcombe_paired(*sides(pairs * times))) < width(newcombe_paired(*sides(pairs)))


@given(paired, st.floats(0.5, 0.9), st.floats(0.01, 0.09))
def test_the_paired_interval_grows_with_the_confidence(
    pairs: list[tuple[float, float]], confidence: float, more: float
) -> None:
    narrow, wide = newcombe_paired(*sides(pairs), confidence), newcombe_paired(*sides(pairs), confidence + more)

    assert narrow is not None
    assert wide is not None
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(paired, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(pairs: list[tuple[float, float]], chance: random.Random) -> None:
    mixed = chance.sample(pairs, len(pairs))

    assert newcombe_paired(*sides(mixed)) == newcombe_paired(*sides(pairs))


@given(counted, counted)
def test_the_independent_interval_contains_the_difference_and_mirrors(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    interval, mirrored = newcombe_independent(*one, *other), newcombe_independent(*other, *one)
    apart = one[0] / one[1] - other[0] / other[1]

    assert interval is not None
    assert mirrored is not None
    assert -1 <= interval.low <= apart + ROUNDING
    assert apart - ROUNDING <= interval.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low))


@given(st.lists(st.tuples(values, st.integers(1, 9), st.integers(0, 9)), max_size=25))
def test_the_bootstrap_interval_contains_the_ratio(rows: list[tuple[float, int, int]]) -> None:
    tops, bottoms, groups = ([row[column] for row in rows] for column in range(3))
    interval = ratio_interval(tops, bottoms, groups)

    if interval is not None:
        assert interval.low <= sum(tops) / sum(bottoms) + ROUNDING
        assert sum(tops) / sum(bottoms) - ROUNDING <= interval.high


@given(counted, limits)
def test_the_two_tests_of_a_limit_are_the_binomial_tails(observed: tuple[int, int], limit: float) -> None:
    k, n = observed

    assert p_at_most(k, n, limit) == pytest.approx(binomtest(k, n, limit, "greater").pvalue, abs=ROUNDING)
    assert p_at_least(k, n, limit) == pytest.approx(binomtest(k, n, limit, "less").pvalue, abs=ROUNDING)


@given(weighed, limits, st.floats(0, 1))
def test_more_counted_speaks_more_for_a_share_above_the_limit(
    observed: tuple[float, float], limit: float, more: float
) -> None:
    k, n = observed
    larger = k + (n - k) * more

    assert p_at_most(larger, n, limit) <= p_at_most(k, n, limit) + ROUNDING
    assert p_at_least(larger, n, limit) >= p_at_least(k, n, limit) - ROUNDING


@given(weighed, limits, st.floats(0, 1))
def test_a_higher_limit_is_harder_to_exceed(observed: tuple[float, float], limit: float, more: float) -> None:
    k, n = observed
    higher = limit + (1 - limit) * more

    assert p_at_most(k, n, higher) >= p_at_most(k, n, limit) - ROUNDING
    assert p_at_least(k, n, higher) <= p_at_least(k, n, limit) + ROUNDING


@given(counted | weighed, limits)
def test_no_count_speaks_against_both_sides_of_a_limit(observed: tuple[float, float], limit: float) -> None:
    assert p_at_most(*observed, limit) + p_at_least(*observed, limit) >= 1 - ROUNDING


@given(weighed, limits, st.floats(0.001, 0.4))
def test_a_limit_is_rejected_exactly_where_the_exact_interval_excludes_it(
    observed: tuple[float, float], limit: float, alpha: float
) -> None:
    interval = clopper_pearson(*observed, 1 - 2 * alpha)
    assert interval is not None
    assume(min(abs(interval.low - limit), abs(interval.high - limit)) > ROUNDING)

    assert (p_at_most(*observed, limit) <= alpha) == (limit < interval.low)
    assert (p_at_least(*observed, limit) <= alpha) == (interval.high < limit)


@given(st.integers(0, 500), st.integers(0, 500))
def test_mcnemar_takes_both_directions_alike(pf: int, fp: int) -> None:
    assert 0 <= mcnemar_exact(pf, fp) == mcnemar_exact(fp, pf) <= 1


@given(p_lists)
def test_holm_is_never_looser_than_bonferroni(p_values: list[float]) -> None:
    found, bounds = holm(p_values), bonferroni(p_values)

    assert all(raw <= adjusted <= bound for raw, adjusted, bound in zip(p_values, found, bounds, strict=True))


@given(p_lists, st.floats(0.001, 0.5))
def test_holm_rejects_whatever_bonferroni_rejects(p_values: list[float], alpha: float) -> None:
    rejected = {index for index, p in enumerate(holm(p_values)) if p <= alpha}

    assert {index for index, p in enumerate(bonferroni(p_values)) if p <= alpha} <= rejected


@given(p_lists)
def test_adjusted_p_values_keep_the_order_of_the_raw_ones(p_values: list[float]) -> None:
    for adjust in (holm, bonferroni):
        ordered = [adjusted for _, adjusted in sorted(zip(p_values, adjust(p_values), strict=True))]
        assert ordered == sorted(ordered)


@given(p_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_tests_does_not_matter(p_values: list[float], chance: random.Random) -> None:
    order = chance.sample(range(len(p_values)), len(p_values))
    found = holm(p_values)

    assert holm([p_values[index] for index in order]) == tuple(found[index] for index in order)
