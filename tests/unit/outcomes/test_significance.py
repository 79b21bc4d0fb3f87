from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from math import erfc, sqrt

import pytest
from scipy.stats import binomtest, mannwhitneyu, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_effectsize, proportions_ztest

from pytest_quantgate.outcomes.intervals import clopper_pearson
from pytest_quantgate.outcomes.significance import (
    binomial_exact,
    bonferroni,
    cohens_h,
    holm,
    mann_whitney,
    mcnemar_exact,
    p_at_least,
    p_at_most,
    p_ratio_at_least,
    p_ratio_at_most,
    two_proportion_z,
)

RatioTest = Callable[[Sequence[float], Sequence[float], Sequence[Hashable], float], float | None]


# what METRICS.md recomputes from the paper's counts, each beside what the paper prints


def test_the_z_test_of_the_papers_rates_is_what_the_definition_gives_and_not_what_is_printed() -> None:
    found = two_proportion_z(83, 1000, 69, 1000)

    assert found is not None
    assert (round(found.z, 4), round(found.p, 4)) == (1.1813, 0.2375)
    assert (round(found.z, 2), round(found.p, 3)) != (1.16, 0.246)  # printed in section 4.6.1


def test_cohens_h_of_the_papers_rates_is_what_the_definition_gives_and_not_what_is_printed() -> None:
    h = cohens_h(83 / 1000, 69 / 1000)

    assert round(h, 4) == 0.0529
    assert round(h, 3) != 0.047  # printed in section 4.6.1


def test_the_binomial_test_of_mistral_is_exact_where_the_paper_prints_the_normal_approximation() -> None:
    exact = binomial_exact(69, 69 + 66)
    normal = erfc(abs(69 - 66) / sqrt(69 + 66) / sqrt(2))

    assert round(exact, 4) == 0.8634
    assert round(exact, 2) != 0.80  # printed in section 4.6.2
    assert round(normal, 3) == 0.796
    assert round(normal, 2) == 0.80


def test_the_binomial_test_of_llama_which_the_paper_does_not_give() -> None:
    assert round(binomial_exact(83, 83 + 60), 4) == 0.0654


# tests between two runs or models, against statsmodels and scipy


@pytest.mark.parametrize(("pf", "fp"), [(69, 66), (83, 60), (0, 0), (0, 1), (1, 0), (5, 5), (12, 0), (3000, 2900)])
def test_mcnemar_agrees_with_statsmodels_and_is_the_binomial_test(pf: int, fp: int) -> None:
    expected = mcnemar([[10, pf], [fp, 20]], exact=True).pvalue

    assert mcnemar_exact(pf, fp) == pytest.approx(expected)
    assert mcnemar_exact(pf, fp) == pytest.approx(binomial_exact(pf, pf + fp))


@pytest.mark.parametrize(("k", "n", "share"), [(0, 9, 0.3), (3, 9, 0.3), (9, 9, 0.3), (40, 100, 0.5), (1, 400, 0.02)])
def test_the_binomial_test_counts_what_is_no_more_likely(k: int, n: int, share: float) -> None:
    chances = [binomtest(each, n, share, "less").pvalue for each in range(n + 1)]
    masses = [chances[0], *(after - before for before, after in pairwise(chances))]

    assert binomial_exact(k, n, share) == pytest.approx(
        sum(mass for mass in masses if mass <= masses[k] * (1 + 1e-7)), abs=1e-9
    )


def test_nothing_that_changed_speaks_for_nothing() -> None:
    assert binomial_exact(0, 0) == mcnemar_exact(0, 0) == 1


@pytest.mark.parametrize("counts", [(83, 1000, 69, 1000), (0, 10, 3, 20), (5, 5, 1, 9), (7, 30, 7, 30)])
def test_the_z_test_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    k1, n1, k2, n2 = counts
    z, p = proportions_ztest([k1, k2], [n1, n2])
    found = two_proportion_z(*counts)

    assert found is not None
    assert (found.z, found.p) == pytest.approx((z, p))


@pytest.mark.parametrize("counts", [(0, 0, 1, 2), (1, 2, 0, 0), (0, 5, 0, 9), (5, 5, 9, 9)])
def test_the_z_test_is_undefined_without_cases_or_variation(counts: tuple[int, int, int, int]) -> None:
    assert two_proportion_z(*counts) is None


def test_the_z_test_refuses_what_is_no_share() -> None:
    with pytest.raises(ValueError, match="11 of 10 is no share"):
        two_proportion_z(11, 10, 0, 10)


@pytest.mark.parametrize(("first", "second"), [(0.083, 0.069), (0, 1), (1, 0), (0.5, 0.5), (0.02, 0.3)])
def test_cohens_h_agrees_with_statsmodels(first: float, second: float) -> None:
    assert cohens_h(first, second) == pytest.approx(proportion_effectsize(first, second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.1, 0.4, 0.9], [0.2, 0.3]),  # exact
        ([0.5, 0.5, 1.0, 0.25] * 5, [0.25, 0.5, 0.0] * 6),  # ties
        ([1.0], [0.0]),
    ],
)
def test_mann_whitney_agrees_with_scipy_and_with_counting_pairs(first: list[float], second: list[float]) -> None:
    found = mann_whitney(first, second)
    wins = sum((one > other) + (one == other) / 2 for one in first for other in second)
    losses = len(first) * len(second) - wins

    assert found is not None
    assert found.p == pytest.approx(mannwhitneyu(first, second).pvalue)
    assert found.u == wins
    assert found.rank_biserial == pytest.approx((wins - losses) / (len(first) * len(second)))


def test_cohens_d_is_the_difference_over_the_pooled_deviation() -> None:
    found = mann_whitney([1, 2, 3], [2, 4, 6, 8])

    assert found is not None
    assert found.cohens_d == pytest.approx((2 - 5) / sqrt((2 * 1 + 3 * 20 / 3) / 5))


def test_samples_that_are_all_alike_have_no_effect_and_no_deviation() -> None:
    found = mann_whitney([0.5, 0.5], [0.5, 0.5, 0.5])

    assert found is not None
    assert (found.u, found.p, found.rank_biserial, found.cohens_d) == (3, 1, 0, None)


def test_samples_that_do_not_overlap_have_the_largest_rank_effect() -> None:
    found, single = mann_whitney([0.9, 0.8], [0.1, 0.2]), mann_whitney([1.0], [0.0])

    assert found is not None
    assert found.rank_biserial == 1
    assert single is not None
    assert single.cohens_d is None


def test_mann_whitney_is_undefined_without_a_sample() -> None:
    assert mann_whitney([], [1.0]) is None
    assert mann_whitney([1.0], []) is None


@pytest.mark.parametrize("p_values", [[], [0.2], [0.04, 0.01, 0.03], [0.5, 0.9, 0.01, 0.01], [0, 1, 1e-9, 0.02] * 9])
def test_adjusted_p_values_agree_with_statsmodels(p_values: list[float]) -> None:
    for adjust, name in ((holm, "holm"), (bonferroni, "bonferroni")):
        expected = multipletests(p_values, method=name)[1] if p_values else []
        assert adjust(p_values) == pytest.approx(tuple(expected))


# tests of a limit


@pytest.mark.parametrize("limit", [0.001, 0.02, 0.3, 0.97])
@pytest.mark.parametrize(("k", "n"), [(0, 30), (1, 30), (9, 30), (30, 30), (30, 1000)])
def test_a_limit_of_a_share_is_tested_by_the_exact_binomial_tails(k: int, n: int, limit: float) -> None:
    assert p_at_most(k, n, limit) == pytest.approx(binomtest(k, n, limit, "greater").pvalue, rel=1e-9)
    assert p_at_least(k, n, limit) == pytest.approx(binomtest(k, n, limit, "less").pvalue, rel=1e-9)


@pytest.mark.parametrize("k", [0.4, 3.25, 9.9])
def test_a_limit_is_crossed_where_the_exact_interval_leaves_it(k: float) -> None:
    interval = clopper_pearson(k, 31.5, 0.9)

    assert interval is not None
    assert p_at_most(k, 31.5, interval.low) == pytest.approx(0.05)
    assert p_at_least(k, 31.5, interval.high) == pytest.approx(0.05)


@pytest.mark.parametrize("n", [1, 5, 30, 200])
@pytest.mark.parametrize("size", [0.2, 1 / 3, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("mean", [0.005, 0.02, 0.1])
def test_the_tails_are_cautious_for_sums_of_values_between_0_and_1(n: int, size: float, mean: float) -> None:
    for hits in range(n + 1):  # each value is 0 or the size: up to it no values vary more
        at_least_so_many = binomtest(hits, n, mean / size, "greater").pvalue
        at_most_so_many = binomtest(hits, n, mean / size, "less").pvalue
        if at_least_so_many < 0.1:
            assert at_least_so_many <= p_at_most(hits * size, n, mean)
        if at_most_so_many < 0.1:
            assert at_most_so_many <= p_at_least(hits * size, n, mean)


def test_limits_at_the_ends_of_the_scale() -> None:
    assert p_at_most(0, 20, 0) == 1
    assert p_at_most(1, 20, 0) == 0
    assert p_at_most(20, 20, 1) == 1
    assert p_at_least(20, 20, 1) == 1
    assert p_at_least(19, 20, 1) == 0
    assert p_at_least(0, 20, 0) == 1


def test_nothing_observed_shows_nothing() -> None:
    assert p_at_most(0, 0, 0.02) == p_at_least(0, 0, 0.02) == 1
    assert p_ratio_at_most([], [], [], 1.5) is p_ratio_at_least([], [], [], 1.5) is None


@pytest.mark.parametrize("test", [p_at_most, p_at_least])
def test_what_is_no_share_is_refused(test: Callable[[float, float, float], float]) -> None:
    with pytest.raises(ValueError, match="is no share"):
        test(3, 2, 0.5)


@pytest.mark.parametrize("limit", [0.5, 1.0, 1.3])
def test_a_ratio_is_tested_by_students_test_over_groups(limit: float) -> None:
    tops, bottoms, groups = [30.0, 10.0, 25.0, 40.0, 8.0], [20.0, 12.0, 20.0, 30.0, 9.0], ["a", "b", "a", "c", "d"]
    rests = [55 - limit * 40, 10 - limit * 12, 40 - limit * 30, 8 - limit * 9]

    assert p_ratio_at_most(tops, bottoms, groups, limit) == pytest.approx(
        ttest_1samp(rests, 0, alternative="greater").pvalue
    )
    assert p_ratio_at_least(tops, bottoms, groups, limit) == pytest.approx(
        ttest_1samp(rests, 0, alternative="less").pvalue
    )


@pytest.mark.parametrize("test", [p_ratio_at_most, p_ratio_at_least])
@pytest.mark.parametrize(
    ("tops", "bottoms", "groups"),
    [
        ([3.0], [2.0], "a"),
        ([3.0, 1.0], [2.0, 2.0], "aa"),
        ([3.0, 1.0], [0.0, 0.0], "ab"),
        ([2.0] * 3, [2.0] * 3, "abc"),
        ([77.0, 154.0, 231.0], [70.0, 140.0, 210.0], "abc"),  # 77 - 1.1 * 70 is not quite 0
    ],
    ids=["one case", "one group", "no denominator", "no variation", "nothing but rounding varies"],
)
def test_a_ratio_without_variation_or_denominator_is_undefined(
    test: RatioTest, tops: list[float], bottoms: list[float], groups: str
) -> None:
    assert test(tops, bottoms, groups, 1.1) is None
