from __future__ import annotations

from math import comb, sqrt

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pytest_quantgate.outcomes.intervals import (
    Interval,
    clopper_pearson,
    newcombe_independent,
    newcombe_paired,
    paired_means,
    wilson,
)

SHARES = [(0, 1), (1, 1), (0, 20), (20, 20), (1, 29), (15, 148), (81, 263), (69, 1000), (1, 100_000)]


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def pairs(both: int, first: int, second: int, neither: int) -> tuple[list[float], list[float]]:
    """Values of 0 and 1 with so many cases of each kind."""
    return [1.0] * (both + first) + [0.0] * (second + neither), [1.0] * both + [0.0] * first + [1.0] * second + [
        0.0
    ] * neither


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe 1998a, Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(k: int, n: int, low: float, high: float) -> None:
    assert ends(wilson(k, n)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # the same table, method 5
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_gives_the_published_intervals(k: int, n: int, low: float, high: float) -> None:
    assert ends(clopper_pearson(k, n)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("k", "n"), SHARES)
def test_intervals_of_a_share_agree_with_statsmodels(k: int, n: int, confidence: float) -> None:
    assert ends(wilson(k, n, confidence)) == pytest.approx(
        proportion_confint(k, n, 1 - confidence, "wilson"), abs=1e-12
    )
    assert ends(clopper_pearson(k, n, confidence)) == pytest.approx(
        proportion_confint(k, n, 1 - confidence, "beta"), abs=1e-12
    )


def test_an_interval_says_how_it_was_computed() -> None:
    found = (wilson(1, 2), clopper_pearson(1, 2), newcombe_paired([1], [0]), newcombe_independent(1, 2, 1, 3))

    assert [each.method for each in found if each] == ["Wilson", "Clopper-Pearson", "Newcombe", "Newcombe"]


def test_nothing_observed_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None
    assert newcombe_paired([], []) is None
    assert newcombe_independent(0, 0, 1, 2) is None
    assert newcombe_independent(1, 2, 0, 0) is None


def test_no_count_and_every_count_reach_the_end_of_the_scale_exactly() -> None:
    assert ends(wilson(0, 7))[0] == ends(clopper_pearson(0, 7))[0] == 0
    assert ends(wilson(7, 7))[1] == ends(clopper_pearson(7, 7))[1] == 1


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0), (float("nan"), 5), (1, float("nan"))])
def test_what_is_no_share_is_refused(k: float, n: float) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson(k, n)
    with pytest.raises(ValueError, match="is no share"):
        clopper_pearson(k, n)


def test_real_counts_lie_between_whole_ones() -> None:
    assert ends(clopper_pearson(2, 40))[1] < ends(clopper_pearson(2.5, 40))[1] < ends(clopper_pearson(3, 40))[1]
    assert ends(wilson(2, 40))[1] < ends(wilson(2.5, 40))[1] < ends(wilson(3, 40))[1]


@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.37, 0.5])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_clopper_pearson_covers_at_least_as_often_as_it_says(n: int, share: float) -> None:
    covered = [k for k in range(n + 1) if ends(clopper_pearson(k, n))[0] <= share <= ends(clopper_pearson(k, n))[1]]

    assert sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in covered) >= 0.95


def test_wilson_covers_as_often_as_it_says_on_average() -> None:
    n, grid = 40, [each / 200 for each in range(1, 200)]
    intervals = [ends(wilson(k, n)) for k in range(n + 1)]
    covered = [
        sum(
            comb(n, k) * share**k * (1 - share) ** (n - k)
            for k, (low, high) in enumerate(intervals)
            if low <= share <= high
        )
        for share in grid
    ]

    assert sum(covered) / len(covered) == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998b, Statistics in Medicine 17:2635, the example 36, 12, 2, 0
        # Fagerland, Lydersen & Laake 2017, Statistical Analysis of Contingency Tables, chapter 8
        ((1, 1, 7, 12), -0.5069, -0.0256),  # airways, Bentur et al. 2009
        ((59, 6, 16, 80), -0.1186, -0.0046),  # complete response, Cavo et al. 2012
    ],
)
def test_the_paired_interval_gives_the_published_ones(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert ends(newcombe_paired(*pairs(*table))) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("table", [(36, 12, 2, 0), (3, 5, 7, 20), (20, 1, 1, 20), (0, 6, 0, 44), (10, 3, 2, 0)])
def test_the_paired_interval_squares_and_adds_wilson_limits_of_a_table(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    n = sum(table)
    (low1, high1), (low2, high2) = ends(wilson(a + b, n)), ends(wilson(a + c, n))
    p1, p2 = (a + b) / n, (a + c) / n
    product = (a + b) * (c + d) * (a + c) * (b + d)
    cross = a * d - b * c
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / sqrt(product) if product else 0
    below, above = p1 - low1, high2 - p2
    low = p1 - p2 - sqrt(below**2 - 2 * phi * below * above + above**2)
    above, below = high1 - p1, p2 - low2
    high = p1 - p2 + sqrt(above**2 - 2 * phi * above * below + below**2)

    assert ends(newcombe_paired(*pairs(*table))) == pytest.approx((low, high), abs=1e-12)


def test_swapping_the_sides_mirrors_the_paired_interval() -> None:
    first, second = pairs(30, 7, 3, 20)
    low, high = ends(newcombe_paired(first, second))

    assert ends(newcombe_paired(second, first)) == pytest.approx((-high, -low))


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    low, high = ends(newcombe_paired(*pairs(40, 5, 5, 50)))
    loose_low, loose_high = ends(newcombe_independent(45, 100, 45, 100))

    assert high - low < loose_high - loose_low


def test_fewer_effective_cases_widen_the_paired_interval() -> None:
    first, second = pairs(30, 7, 3, 20)
    low, high = ends(newcombe_paired(first, second))
    wide_low, wide_high = ends(newcombe_paired(first, second, effective=30))

    assert wide_low < low < high < wide_high
    assert ends(newcombe_paired(first, second, effective=60)) == (low, high)


def test_effective_cases_are_worth_as_many_whole_ones() -> None:
    first, second = pairs(15, 4, 2, 10)

    assert ends(newcombe_paired(first * 2, second * 2, effective=31)) == pytest.approx(
        ends(newcombe_paired(first, second))
    )


def test_values_between_0_and_1_are_allowed_on_both_sides() -> None:
    first, second = [0.5, 0.0, 1.0, 0.25], [0.0, 0.0, 1.0, 0.5]
    low, high = ends(newcombe_paired(first, second))

    assert -1 <= low < 0.0625 < high <= 1


def test_the_squared_width_of_shares_of_checks_stays_above_what_they_vary_by() -> None:
    first = [0.5, 0.25, 0.75, 0.5] * 50
    second = [0.25, 0.25, 0.5, 0.5] * 50
    low, high = ends(newcombe_paired(first, second))
    differences = [one - other for one, other in zip(first, second, strict=True)]
    mean = sum(differences) / len(differences)
    error = sqrt(sum((each - mean) ** 2 for each in differences)) / len(differences)

    assert (high - low) / 2 > 1.96 * error


def test_the_correlation_is_corrected_for_continuity_only_where_it_helps() -> None:
    alike, unlike = paired_means(*pairs(1, 0, 0, 1)), paired_means(*pairs(0, 1, 1, 0))

    assert alike is not None
    assert unlike is not None
    assert (alike.correlation, unlike.correlation) == (0, -1)


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        newcombe_paired([1.0, 0.0], [1.0])


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe 1998c, Statistics in Medicine 17:873, table II, method 10, contrasts (a) to (h)
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_the_independent_interval_gives_the_published_ones(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert ends(newcombe_independent(*counts)) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [(83, 1000, 69, 1000), (5, 56, 0, 29), (1, 3, 2, 5)])
def test_the_independent_interval_agrees_with_statsmodels(k1: int, n1: int, k2: int, n2: int) -> None:
    expected = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff", alpha=0.1)

    assert ends(newcombe_independent(k1, n1, k2, n2, 0.9)) == pytest.approx(expected)
