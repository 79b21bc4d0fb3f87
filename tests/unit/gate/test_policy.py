from __future__ import annotations

import math
from dataclasses import fields

import pytest

from pytest_quantgate.cases.model import PolicySettings
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.policy import GatePolicy, resolve_policy, validate

NOTHING = PolicySettings()
SHARES = [field.name for field in fields(PolicySettings) if field.name not in {"rule", "min_cases", "max_length_ratio"}]


def test_defaults_hold_when_no_source_says_anything() -> None:
    assert resolve_policy(NOTHING, NOTHING, NOTHING) == GatePolicy(
        rule="point", max_pass_to_fail=0.05, min_robustness=0.90, min_cases=30, max_unscored=0.05
    )


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


@pytest.mark.parametrize("name", SHARES)
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


def test_every_setting_has_its_place_in_the_policy() -> None:
    assert [field.name for field in fields(PolicySettings)] == [field.name for field in fields(GatePolicy)]


def test_limits_that_nobody_sets_are_not_judged() -> None:
    policy = resolve_policy(NOTHING, PolicySettings(max_refusal_drift=0.1), NOTHING)

    assert policy.max_refusal_drift == 0.1
    assert policy.max_length_ratio is None


def test_the_rule_follows_the_same_precedence() -> None:
    point, evidence = PolicySettings(rule="point"), PolicySettings(rule="evidence")

    assert resolve_policy(NOTHING, NOTHING, evidence).rule == "evidence"
    assert resolve_policy(NOTHING, point, evidence).rule == "point"
    assert resolve_policy(evidence, point, NOTHING).rule == "evidence"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (PolicySettings(max_length_ratio=0.0), "max_length_ratio is 0\n  Give a ratio above 0"),
        (PolicySettings(max_length_ratio=math.nan), "max_length_ratio is nan\n  Give a ratio above 0"),
        (PolicySettings(max_length_ratio=1e300), "max_length_ratio is 1e+300\n  Give a ratio above 0, at most 1000000"),
        (PolicySettings(max_length_ratio=math.inf), "max_length_ratio is inf\n  Give a ratio above 0"),
        (PolicySettings(max_loop_increase=1.5), "max_loop_increase is 1.5\n  Give a share between 0 and 1"),
        (PolicySettings(max_pass_to_fail=True), "max_pass_to_fail is True\n  Give a share between 0 and 1"),
        (PolicySettings(max_unscored="0.1"), "max_unscored is '0.1'\n  Give a share between 0 and 1"),  # type: ignore[arg-type]
        (PolicySettings(min_cases=2.0), "min_cases is 2\n  Give a whole number of cases"),  # type: ignore[arg-type]
        (PolicySettings(min_cases=True), "min_cases is True\n  Give a whole number of cases"),
        (PolicySettings(rule="evidenz"), "rule is 'evidenz'\n  Did you mean 'evidence'?"),  # type: ignore[arg-type]
        (PolicySettings(rule="x" * 999), "rule is 'xxxx"),  # type: ignore[arg-type]
    ],
)
def test_a_setting_that_no_gate_could_go_by_names_its_place(settings: PolicySettings, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(settings, lambda key: f"pytest.ini:7 ({key})")

    assert str(caught.value).startswith("pytest.ini:7 (")
    assert told in str(caught.value)
    assert len(str(caught.value)) < 300
