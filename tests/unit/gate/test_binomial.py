from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pytest_quantgate.gate.binomial import (
    cases_to_decide,
    cases_to_pass,
    cases_to_pass_at,
    power_to_fail,
    power_to_pass,
    smallest_rate,
)
from pytest_quantgate.outcomes.significance import p_at_least, p_at_most

limits = st.floats(0.005, 0.4)
levels = st.sampled_from([0.05, 0.0125, 0.05 / 16])


@settings(deadline=None)
@given(st.floats(0.001, 0.999), st.integers(1, 300), limits, levels)
def test_power_is_the_sum_over_the_counts_that_decide(rate: float, n: int, limit: float, level: float) -> None:
    counts = np.arange(n + 1)
    chance = binom.pmf(counts, n, rate)
    to_fail = chance[binom.sf(counts - 1, n, limit) <= level].sum()
    to_pass = chance[binom.cdf(counts, n, limit) <= level].sum()

    assert power_to_fail(rate, n, limit, level) == pytest.approx(to_fail, abs=1e-9)
    assert power_to_pass(rate, n, limit, level) == pytest.approx(to_pass, abs=1e-9)


@settings(deadline=None)
@given(limits, levels)
def test_no_degraded_case_passes_from_that_number_on(limit: float, level: float) -> None:
    needed = cases_to_pass(limit, level)

    assert needed is not None
    assert p_at_least(0, needed, limit) <= level
    assert needed == 1 or p_at_least(0, needed - 1, limit) > level


@pytest.mark.parametrize(
    ("limit", "gates", "cases"), [(0.05, 1, 59), (0.05, 4, 86), (0.05, 16, 113), (0.02, 1, 149), (0.02, 16, 286)]
)
def test_cases_to_pass_at_none(limit: float, gates: int, cases: int) -> None:
    assert cases_to_pass(limit, 0.05 / gates) == cases


def test_limits_that_nothing_or_everything_keeps() -> None:
    assert cases_to_pass(0, 0.05) is cases_to_pass(1e-12, 0.05) is cases_to_pass(5e-324, 0.05) is None
    assert cases_to_pass(1, 0.05) == cases_to_pass_at(0.5, 1, 0.05) == cases_to_decide(0.5, 1, 0.05) == 1
    assert cases_to_pass_at(0, 0, 0.05) is None
    assert cases_to_decide(0, 0, 0.05) is None
    assert cases_to_decide(0.1, 0, 0.05) == 1
    assert smallest_rate(60, 1, 0.05) is None
    assert power_to_fail(0.5, 60, 1, 0.05) == 0
    assert power_to_pass(0.5, 60, 1, 0.05) == 1
    assert power_to_pass(0.0, 60, 0.05, 0.05) == 1
    assert power_to_pass(0.0, 0, 0.05, 0.05) == power_to_fail(1.0, 0, 0.05, 0.05) == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2000), limits, levels)
def test_the_smallest_rate_is_seen_with_just_that_power(n: int, limit: float, level: float) -> None:
    rate = smallest_rate(n, limit, level)

    if rate is None:
        assert limit**n > level  # not even all of them prove it
    else:
        assert rate > limit
        assert power_to_fail(rate, n, limit, level) == pytest.approx(0.8, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.02, 0.3), st.floats(0.1, 0.6), levels)
def test_that_many_cases_pass_a_better_candidate_with_that_power(limit: float, part: float, level: float) -> None:
    rate = part * limit
    needed = cases_to_pass_at(rate, limit, level)

    assert needed is not None
    assert power_to_pass(rate, needed, limit, level) >= 0.8
    fewer = range(max(1, needed - 40), needed)
    assert all(power_to_pass(rate, cases, limit, level) < 0.8 for cases in fewer)


def test_a_rate_at_its_limit_never_passes() -> None:
    assert cases_to_pass_at(0.05, 0.05, 0.05) is None
    assert cases_to_decide(0.05, 0.05, 0.05) is None


@settings(deadline=None)
@given(st.floats(0, 1), limits, levels)
def test_the_measured_rate_decides_from_that_number_on(rate: float, limit: float, level: float) -> None:
    needed = cases_to_decide(rate, limit, level)

    if abs(rate - limit) < 1e-3:
        return
    assert needed is not None
    test = p_at_most if rate > limit else p_at_least
    assert test(min(rate * needed, needed), needed, limit) <= level
    assert needed == 1 or test(rate * (needed - 1), needed - 1, limit) > level


def test_a_million_cases_are_no_loop() -> None:
    assert smallest_rate(10**6, 0.05, 0.0125) == pytest.approx(0.050674, abs=1e-6)
    assert cases_to_pass_at(0.0499, 0.05, 0.0125) == pytest.approx(45_113_000, rel=1e-3)
