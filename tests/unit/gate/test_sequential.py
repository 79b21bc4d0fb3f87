from __future__ import annotations

import random
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Case
from pytest_quantgate.gate.sequential import looks, order
from tests.unit.outcomes.build import case

slices = st.lists(st.sampled_from([None, None, "a", "b", "c"]), max_size=60).map(
    lambda clusters: [case(f"c{place}", cluster=cluster) for place, cluster in enumerate(clusters)]
)


def plain(cases: int) -> list[Case]:
    return [case(f"c{place:04}") for place in range(cases)]


@settings(deadline=None)
@given(slices, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_follows_from_seed_and_names_alone(cases: list[Case], seed: int, chance: random.Random) -> None:
    found = order(cases, seed)

    assert sorted(each.id for each in found) == sorted(each.id for each in cases)
    assert order(chance.sample(cases, len(cases)), seed) == found


@settings(deadline=None)
@given(slices, st.integers(0, 5))
def test_clusters_stay_together(cases: list[Case], seed: int) -> None:
    runs = [name for name, _ in groupby(order(cases, seed), lambda each: each.cluster or each.id)]

    assert len(runs) == len(set(runs))


def test_another_seed_is_another_order() -> None:
    cases = plain(50)

    assert order(cases, 1) != order(cases, 2)
    assert order(cases, 1) != tuple(cases)


def test_a_cluster_named_like_a_case_is_not_that_case() -> None:
    cases = [case("a"), case("b", cluster="a"), case("c", cluster="a")]

    assert len(order(cases, 3)) == 3


def test_looks_are_at_equal_parts_and_keep_most_for_the_last() -> None:
    assert [(look.cases, look.share) for look in looks(plain(300), 30)] == [(100, 0.15), (200, 0.25), (300, 0.6)]


@pytest.mark.parametrize(
    ("cases", "least", "ends"),
    [(300, 150, [200, 300]), (300, 300, [300]), (300, 500, [300]), (60, 30, [40, 60]), (2, 1, [1, 2]), (0, 1, [0])],
)
def test_no_look_has_fewer_cases_than_a_verdict_needs(cases: int, least: int, ends: list[int]) -> None:
    assert [look.cases for look in looks(plain(cases), least)] == ends


@settings(deadline=None)
@given(slices, st.integers(1, 40), st.integers(0, 3))
def test_looks_grow_spend_everything_and_part_no_cluster(cases: list[Case], least: int, seed: int) -> None:
    ordered = order(cases, seed)
    found = looks(ordered, least)

    assert sum(look.share for look in found) == pytest.approx(1)
    assert found[-1].cases == len(cases)
    assert [look.cases for look in found] == sorted({look.cases for look in found})
    for look in found[:-1]:
        assert look.cases >= least
        assert look.share < found[-1].share
        before, after = ordered[look.cases - 1], ordered[look.cases]
        assert before.cluster is None or before.cluster != after.cluster
