from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pytest_quantgate.cases.model import CheckSpec, Location, PolicySettings, Slice
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.gate.power import PowerRow, power_rows
from tests.unit.outcomes.build import case


def asked(cases: int, *, cluster: int = 1, checks: int = 1, name: str = "s") -> Slice:
    made = tuple(
        case(f"c{place}", checks, cluster=None if cluster == 1 else f"k{place // cluster}") for place in range(cases)
    )
    return Slice(name, "", made, PolicySettings(), Location(f"{name}.slice.yaml", 3))


def row(slice_: Slice, *, candidates: int = 1, sequential: bool = False, **policy: Any) -> PowerRow:
    (found,) = power_rows(
        [(slice_, GatePolicy(**{"rule": "evidence", **policy}))], candidates=candidates, sequential=sequential
    )
    return found


def test_a_row_says_what_its_cases_can_prove() -> None:
    found = row(asked(60))

    assert (found.slice, str(found.location), found.cases, found.effective) == ("s", "s.slice.yaml:3", 60, 60)
    assert (found.limit, found.bound, found.gates, found.level) == ("max_pass_to_fail", 0.05, 1, 0.05)
    assert (found.needed, found.needed_at_half, found.problem) == (59, 361, None)
    assert found.resolves == pytest.approx(0.1474, abs=1e-4)


def test_the_family_is_slices_times_candidates_under_the_rule() -> None:
    point, evidence = GatePolicy(), GatePolicy(rule="evidence")
    rows = power_rows([(asked(100), evidence), (asked(100), evidence), (asked(100), point)], candidates=2)

    assert [(each.gates, each.level) for each in rows[:2]] == [(4, 0.0125)] * 2
    assert rows[2].gates == 1
    assert rows[2].level == pytest.approx(0.025)
    assert [each.problem for each in rows] == [None] * 3


def test_too_few_cases_are_told_with_the_number_to_use() -> None:
    assert row(asked(60), max_pass_to_fail=0.02).problem == (
        "max_pass_to_fail 0.02 takes 149 cases to PASS even when none degrades; it has 60 cases"
    )
    assert row(asked(149), max_pass_to_fail=0.02).problem is None


def test_clusters_are_taken_as_wholly_alike() -> None:
    found = row(asked(120, cluster=3))

    assert (found.effective, found.needed) == (40, 177)
    assert found.problem == (
        "max_pass_to_fail 0.05 takes 177 cases to PASS even when none degrades; it has 120 cases, worth 40 of their own"
    )


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (
            {"max_pass_to_fail": 0.0},
            "max_pass_to_fail 0.00 cannot be proven to be kept: give a limit well above 0, or the rule point",
        ),
        (
            {"max_pass_to_fail": 5e-324},  # so small that its logarithm is no divisor
            "max_pass_to_fail 0.00 cannot be proven to be kept: give a limit well above 0, or the rule point",
        ),
        (
            {"min_robustness": 1.0},
            "min_robustness 1.00 cannot be proven to be kept: give a limit well below 1, or the rule point",
        ),
    ],
)
def test_a_limit_that_no_number_of_cases_proves_is_told(policy: dict[str, Any], problem: str) -> None:
    found = row(asked(5000), **policy)

    assert (found.needed, found.needed_at_half, found.problem) == (None, None, problem)


def test_under_the_rule_point_only_the_number_of_cases_matters() -> None:
    assert row(asked(30), rule="point", max_pass_to_fail=0.0).problem is None
    assert row(asked(1), rule="point").problem == "min_cases is 30 and it has 1 case"
    assert row(asked(20)).problem == (
        "min_cases is 30 and it has 20 cases;"
        " max_pass_to_fail 0.05 takes 59 cases to PASS even when none degrades; it has 20 cases"
    )


def test_the_strictest_limit_governs() -> None:
    assert row(asked(100, checks=3), min_robustness=0.98).limit == "min_robustness"
    assert row(asked(100), max_refusal_drift=0.01).limit == "max_refusal_drift"
    clusters = row(asked(300, cluster=3), max_cluster_pass_to_fail=0.02)
    assert (clusters.limit, clusters.needed) == ("max_cluster_pass_to_fail", 447)  # 149 clusters
    assert row(asked(100), max_length_ratio=1.2).limit == "max_pass_to_fail"


def test_only_the_cases_that_a_limit_speaks_of_count_for_it() -> None:
    plain = asked(100)
    parsed = tuple(dataclasses.replace(each, checks=(CheckSpec("json"),)) for each in plain.cases[:10])
    mixed = dataclasses.replace(plain, cases=(*parsed, *plain.cases[10:]))
    found = row(mixed, max_format_retry_increase=0.05)

    assert (found.limit, found.needed) == ("max_format_retry_increase", 590)  # a tenth of them parses
    assert row(plain, max_format_retry_increase=0.05).problem == (
        "nothing can be measured against max_format_retry_increase 0.05"
    )


def test_more_limits_leave_less_for_each_failure() -> None:
    one, two = row(asked(200)), row(asked(200), max_loop_increase=0.5)

    assert one.resolves is not None
    assert two.resolves is not None
    assert two.resolves > one.resolves
    assert two.needed == one.needed


def test_looks_cost_cases() -> None:
    found = row(asked(120), sequential=True)

    assert found.level == pytest.approx(0.03)
    assert found.needed == 69


def test_a_slice_without_cases_has_a_problem_and_no_error() -> None:
    found = row(asked(0))

    assert (found.resolves, found.needed) == (None, None)
    assert found.problem is not None
    assert row(asked(9), max_pass_to_fail=1.0, min_robustness=0.0, min_cases=1).problem is None
