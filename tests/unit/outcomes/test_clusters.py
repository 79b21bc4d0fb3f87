"""Cases that share a cluster: what they are worth, and whole clusters as units."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.outcomes.clusters import change_of, design_effect, groups_of, reliability, share_of
from pytest_quantgate.outcomes.intervals import Estimate, newcombe_paired, wilson
from pytest_quantgate.outcomes.transitions import TransitionCounts
from tests.unit.outcomes.build import comparison, comparisons

drawn = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 8)), min_size=1, max_size=40)


def test_a_case_is_drawn_with_its_cluster_or_alone() -> None:
    groups = groups_of([comparison("+", "+", cluster=cluster) for cluster in ("a", None, "a", None)])

    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


@given(st.lists(st.floats(0, 1), max_size=30))
def test_without_clusters_there_is_no_design_effect(values: list[float]) -> None:
    assert design_effect(values, range(len(values))) == 1


def test_clusters_of_equal_size_whose_cases_are_alike_are_worth_one_case_each() -> None:
    values = [float(cluster % 4 == 0) for cluster in range(40) for _ in range(3)]
    groups = [cluster for cluster in range(40) for _ in range(3)]

    assert design_effect(values, groups) == pytest.approx(3, rel=0.02)


def test_clusters_whose_cases_differ_as_much_as_any_cost_what_three_of_them_may_hide() -> None:
    values = [float(place == 0) for _ in range(40) for place in range(3)]
    groups = [cluster for cluster in range(40) for _ in range(3)]

    assert design_effect(values, groups) == pytest.approx((40 * 1 + 3 * 3) / 43)


def test_the_fewer_clusters_degraded_the_more_alike_their_cases_are_taken() -> None:
    groups = [cluster for cluster in range(100) for _ in range(5)]
    effects = [
        design_effect(
            [float(cluster < degraded and place == 0) for cluster in range(100) for place in range(5)], groups
        )
        for degraded in (0, 1, 2, 5, 20, 50)
    ]

    assert effects == sorted(effects, reverse=True)
    assert effects[0] == 5
    assert effects[-1] < 1.3


@pytest.mark.parametrize("size", [1, 2])
def test_small_clusters_do_not_tell_how_alike_the_cases_of_large_ones_are(size: int) -> None:
    groups = [number for number in range(100) for _ in range(size)] + [-number for number in range(1, 6)] * 100
    values = [float(group >= 0 and group % 10 == 0) for group in groups]
    alike = (100 * size**2 + 5 * 100**2) / len(groups)

    assert design_effect(values, groups) == pytest.approx(alike, rel=0.001)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_where_nothing_varies_clusters_are_taken_as_wholly_alike(value: float) -> None:
    groups = ["a", "a", "a", "b", "c", "c"]

    assert design_effect([value] * 6, groups) == (9 + 1 + 4) / 6


def test_a_single_cluster_is_one_case() -> None:
    assert design_effect([0.0, 1.0, 0.0, 1.0], ["a"] * 4) == 4


def test_it_is_the_variance_over_clusters_over_the_binomial_one() -> None:
    # 100 clusters of 2 drawn so that its two cases agree with a correlation of 0.5: 1 + (2 - 1) * 0.5
    pairs = [(1.0, 1.0)] * 37 + [(0.0, 0.0)] * 38 + [(1.0, 0.0)] * 13 + [(0.0, 1.0)] * 12
    values = [value for pair in pairs for value in pair]
    groups = [number for number in range(100) for _ in range(2)]

    assert design_effect(values, groups) == pytest.approx((62 * 1.5 + 3 * 2) / 65, abs=0.02)


@given(drawn, st.randoms(use_true_random=False))
def test_effective_cases_are_at_most_the_cases_and_at_least_what_alike_clusters_are_worth(
    rows: list[tuple[float, int]], chance: random.Random
) -> None:
    values, groups = zip(*rows, strict=True)
    effect = design_effect(values, groups)
    alike = sum(size**2 for size in Counter(groups).values()) / len(rows)

    assert 1 <= effect <= max(alike, 1)
    assert len(values) / effect <= len(values)
    shuffled = chance.sample(rows, len(rows))
    assert design_effect(*zip(*shuffled, strict=True)) == effect


def test_shares_and_changes_rest_on_effective_cases() -> None:
    values, groups = [1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"]
    zeros = [0.0] * 4

    assert design_effect(values, groups) == 2
    assert share_of(values, groups, "") == Estimate(0.5, wilson(1, 2))
    assert change_of(zeros, values, groups, "") == Estimate(0.5, newcombe_paired(values, zeros, effective=2))


def test_nothing_to_average_is_undefined_for_the_reason_given() -> None:
    assert share_of([], [], "no case") == change_of([], [], [], "no case") == Estimate(None, None, "no case")


def test_a_cluster_passes_when_all_its_cases_pass() -> None:
    found = reliability(
        [
            *(comparison("+", "+", cluster="kept") for _ in range(3)),
            comparison("+", "+", cluster="lost"),
            comparison("+", "-", cluster="lost"),
            comparison("-", "+", cluster="won"),
            comparison("+", "+", cluster="won"),
            comparison("-", "+", cluster="never"),
            comparison("+", "-", cluster="never"),
            comparison("+", "-", cluster="single"),
            comparison("+", "-"),
        ]
    )

    assert found is not None
    assert (found.smallest, found.largest, found.unscored) == (2, 3, 0)
    assert found.counts == TransitionCounts(pp=1, ff=1, pf=1, fp=1)
    assert found.reference == found.candidate == Estimate(0.5, wilson(2, 4))
    assert found.pass_to_fail == Estimate(0.25, wilson(1, 4))


def test_one_unscored_case_leaves_its_cluster_unscored() -> None:
    found = reliability(
        [
            comparison("+", "?", cluster="a"),
            comparison("+", "-", cluster="a"),
            comparison("+", "+", cluster="b"),
            comparison("+", "+", cluster="b"),
        ]
    )

    assert found is not None
    assert found.unscored == 1
    assert found.counts == TransitionCounts(pp=1, ff=0, pf=0, fp=0)


def test_with_nothing_but_unscored_clusters_reliability_is_undefined() -> None:
    found = reliability([comparison("+", "?", cluster="a"), comparison("+", "+", cluster="a")])

    assert found is not None
    assert found.reference == Estimate(None, None, "every cluster has an unscored case")
    assert found.pass_to_fail.value is None


def test_without_a_cluster_of_two_there_is_no_reliability() -> None:
    assert reliability([*comparisons(pp=3), comparison("+", "+", cluster="a")]) is None
    assert reliability([]) is None


@given(st.lists(st.tuples(st.sampled_from("+-?"), st.sampled_from("+-?"), st.integers(0, 4)), max_size=30))
def test_every_shared_cluster_is_counted_once_and_passes_no_oftener_than_its_cases(
    rows: list[tuple[str, str, int]],
) -> None:
    found = reliability([comparison(before, after, cluster=str(cluster)) for before, after, cluster in rows])
    sizes = [size for size in Counter(cluster for _, _, cluster in rows).values() if size > 1]
    if found is None:
        assert not sizes
        return

    assert found.counts.n + found.unscored == len(sizes)
    assert (found.smallest, found.largest) == (min(sizes), max(sizes))
