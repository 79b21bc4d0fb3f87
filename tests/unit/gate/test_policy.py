from __future__ import annotations

import math

import pytest

from pytest_quantgate.cases.model import PolicySettings
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.policy import GatePolicy, resolve_policy

NOTHING = PolicySettings()


def test_defaults_hold_when_no_source_says_anything() -> None:
    assert resolve_policy(NOTHING, NOTHING, NOTHING) == GatePolicy(0.05, 0.90, 30, 0.05)


def test_each_value_comes_from_the_first_source_that_gives_it() -> None:
    policy = resolve_policy(
        PolicySettings(max_pass_to_fail=0.01),
        PolicySettings(max_pass_to_fail=0.02, min_robustness=0.92),
        PolicySettings(max_pass_to_fail=0.03, min_robustness=0.93, min_cases=33),
    )

    assert policy == GatePolicy(max_pass_to_fail=0.01, min_robustness=0.92, min_cases=33, max_unscored=0.05)


def test_zero_is_a_value_and_not_silence() -> None:
    policy = resolve_policy(PolicySettings(max_pass_to_fail=0.0), PolicySettings(max_pass_to_fail=0.02), NOTHING)

    assert policy.max_pass_to_fail == 0


@pytest.mark.parametrize("name", ["max_pass_to_fail", "min_robustness", "max_unscored"])
@pytest.mark.parametrize("value", [math.nan, -0.01, 1.01, math.inf])
def test_a_share_outside_zero_to_one_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"command line: {name} is .*") as caught:
        resolve_policy(PolicySettings(**{name: value}), NOTHING, NOTHING)  # type: ignore[arg-type]

    assert "between 0 and 1" in str(caught.value)


@pytest.mark.parametrize("value", [0, -1])
def test_a_minimum_of_cases_below_one_is_refused(value: int) -> None:
    with pytest.raises(UsageError, match="ini file: min_cases"):
        resolve_policy(NOTHING, NOTHING, PolicySettings(min_cases=value))


def test_a_wrong_value_is_refused_even_where_another_source_overrides_it() -> None:
    with pytest.raises(UsageError, match="gate of slice format: max_pass_to_fail is 5"):
        resolve_policy(
            PolicySettings(max_pass_to_fail=0.05), PolicySettings(max_pass_to_fail=5), NOTHING, slice_name="format"
        )
