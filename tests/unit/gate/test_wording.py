from __future__ import annotations

import pytest

from pytest_quantgate.gate.wording import given, measured, p_value, percent, percent_limit, percent_range
from pytest_quantgate.outcomes.intervals import Interval


@pytest.mark.parametrize(
    ("value", "limit", "written"),
    [(0.0502, 0.05, "5.02%"), (0.05, 0.05, "5.0%"), (0.0500001, 0.05, "5.00001%"), (0.083333, 0.02, "8.3%")],
)
def test_a_measured_value_never_reads_like_a_limit_that_it_is_not(value: float, limit: float, written: str) -> None:
    assert percent(value, limit=limit) == written


def test_a_limit_keeps_what_its_owner_wrote() -> None:
    assert percent_limit(0.0025) == "0.25%"
    assert percent_limit(0.02) == "2.0%"
    assert given(0.995, 2) == "0.995"
    assert measured(0.9, 3, limit=0.95) == "0.900"


def test_an_interval_below_zero_is_no_sum_of_dashes() -> None:
    assert percent_range(Interval(0.036, 0.181)) == "3.6-18.1%"
    assert percent_range(Interval(-0.01, 0.031)) == "-1.0 to 3.1%"


@pytest.mark.parametrize(
    ("p", "written"), [(0.0, "p < 0.0001"), (0.00009, "p < 0.0001"), (0.0312, "p 0.0312"), (0.050001, "p 0.050001")]
)
def test_a_p_value_never_reads_like_alpha(p: float, written: str) -> None:
    assert p_value(p, limit=0.05) == written
