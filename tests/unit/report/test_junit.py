from __future__ import annotations

from dataclasses import replace

from pytest_quantgate.report.junit import properties
from tests.unit.report.build import anchored, full, run, typical


def test_a_gate_says_its_counts_and_each_limit_with_its_interval() -> None:
    found = dict(properties(typical().gates[0]))
    assert {name: found[f"quant_{name}"] for name in ("pp", "ff", "pf", "fp", "unscored")} == {
        "pp": "55",
        "ff": "0",
        "pf": "5",
        "fp": "0",
        "unscored": "0",
    }
    assert [found[f"quant_{side}_pass_rate"] for side in ("reference", "candidate")] == ["1", "0.916667"]
    shown = [found[f"quant_pass_to_fail{part}"] for part in ("", "_limit", "_low", "_high")]
    assert shown == ["0.0833333", "0.05", "0.0361205", "0.180689"]
    assert found["quant_robustness_limit"] == "0.9"


def test_optional_limits_are_there_when_they_judge() -> None:
    found = dict(properties(full().gates[0]))
    assert found["quant_length_ratio_limit"] == "2"
    assert "quant_loop_increase" not in found


def test_a_drift_gate_says_its_share() -> None:
    found = dict(properties(anchored().drifts[0]))
    assert (found["quant_drift"], found["quant_drift_limit"]) == ("0.0909091", "0.02")


def test_each_check_has_its_own_agreement() -> None:
    gate = typical().gates[0]
    finding = replace(gate.findings[0], limit="min_grader_agreement", check="judge", measured=0.75)
    assert ("quant_grader_agreement:judge", "0.75") in properties(replace(gate, findings=(finding,)))


def test_what_is_undefined_has_no_property() -> None:
    empty = run(("format", [])).gates[0]
    assert [name for name, _ in properties(empty)] == [f"quant_{key}" for key in ("pp", "ff", "pf", "fp", "unscored")]
