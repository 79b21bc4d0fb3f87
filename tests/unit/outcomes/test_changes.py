"""Tests of a mean change: exact where changes go one way only, and never against what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.outcomes.changes import Change, change_between
from pytest_quantgate.outcomes.significance import p_at_least

values = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1)
changes = st.builds(
    lambda rise, fall, n: Change(rise * (1 - fall), fall, n), st.floats(0, 1), st.floats(0, 0.9), st.floats(1, 500)
)


@settings(deadline=None)
@given(values)
def test_rises_and_falls_make_the_change(pairs: list[tuple[float, float]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    change = change_between(first, second)
    swapped = change_between(second, first)

    assert change.rise - change.fall == pytest.approx((sum(first) - sum(second)) / len(pairs))
    assert (swapped.rise, swapped.fall) == (change.fall, change.rise)
    assert 0 <= change.rise + change.fall <= 1 + 1e-12


def test_effective_cases_count_for_fewer() -> None:
    assert change_between([1.0, 0.0], [0.0, 0.0], effective=1.5) == Change(0.5, 0.0, 1.5)


@settings(deadline=None)
@given(st.integers(0, 100), st.floats(0.01, 0.4))
def test_where_nothing_fell_a_pass_is_exact(rose: int, limit: float) -> None:
    exact = p_at_least(rose, 100, limit)
    found = Change(rose / 100, 0.0, 100).p_at_least(limit)

    if exact < 0.45:
        assert found == pytest.approx(exact, rel=1e-6, abs=1e-12)
    else:
        assert found > 0.4


@settings(deadline=None)
@given(changes, st.sampled_from([0.05, 0.0125, 0.001]))
def test_bounds_are_where_the_tests_turn(change: Change, level: float) -> None:
    low, high = change.low(level), change.high(level)

    assert -1 <= low <= change.rise - change.fall <= high <= 1
    if low > -1:
        assert change.p_at_most(low - 1e-6) <= level + 1e-9
        assert change.p_at_most(low + 1e-6) >= level - 1e-9
    if high < 1:
        assert change.p_at_least(high + 1e-6) <= level + 1e-9
        assert change.p_at_least(high - 1e-6) >= level - 1e-9


@settings(deadline=None)
@given(changes, st.floats(-0.9, 0.9))
def test_both_ways_mirror_each_other(change: Change, limit: float) -> None:
    mirrored = Change(change.fall, change.rise, change.n)

    assert mirrored.p_at_most(-limit) == pytest.approx(change.p_at_least(limit), abs=1e-9)
    assert 0 <= change.p_at_most(limit) <= 1
    assert change.p_at_most(limit) >= 0.5 or change.rise - change.fall > limit


@settings(deadline=None)
@given(changes, st.floats(-0.9, 0.8), st.floats(0, 0.1))
def test_a_larger_limit_is_harder_to_prove_crossed(change: Change, limit: float, more: float) -> None:
    assert change.p_at_most(limit + more) >= change.p_at_most(limit) - 1e-9


def test_very_small_p_values_are_kept_apart_from_0() -> None:
    assert 0 < Change(0.0, 0.0, 2000).p_at_least(0.05) < 1e-40


def test_everything_changed() -> None:
    assert Change(1.0, 0.0, 50).p_at_most(0.1) < 1e-6
    assert Change(0.0, 1.0, 50).p_at_least(-0.1) < 1e-6
    assert Change(1.0, 0.0, 50).high(0.05) == 1
