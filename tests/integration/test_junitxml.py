from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.integration.conftest import Lab


def cases(lab: Lab, *arguments: str) -> dict[str, ET.Element]:
    xml = lab.pytester.path / "out.xml"
    lab.run("--junitxml", str(xml), *arguments)
    return {str(case.get("name")): case for case in ET.parse(xml).iter("testcase")}  # noqa: S314  (pytest's own file)


def properties(case: ET.Element) -> dict[str, str]:
    return {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_cases_carry_their_transition(lab: Lab, family: str) -> None:
    lab.write("words", [lab.preserved("same"), lab.degraded("worse"), lab.unscored("long")])
    found = cases(lab, "-o", f"junit_family={family}")
    assert {name: properties(case).get("quant_transition") for name, case in found.items()} == {
        "same[nf4]": "pass_to_pass",
        "worse[nf4]": "pass_to_fail",
        "long[nf4]": "unscored",
        "gate[nf4]": None,
    }
    assert properties(found["same[nf4]"])["quant_slice"] == "words"
    assert properties(found["same[nf4]"])["quant_candidate"] == "nf4"
    assert found["worse[nf4]"].find("failure") is None
    skipped = found["long[nf4]"].find("skipped")
    assert skipped is not None
    assert "context" in str(skipped.get("message"))


def test_a_failed_gate_is_a_failure_with_its_reasons(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=2), max_pass_to_fail=0.1)
    gate = cases(lab)["gate[nf4]"]
    failure = gate.find("failure")
    assert failure is not None
    assert "PASS→FAIL 2 of 4" in str(failure.get("message"))
    assert "PASS→FAIL 2 of 4" in str(failure.text)
    found = properties(gate)
    assert [found.pop(name) for name in ("quant_slice", "quant_candidate", "quant_verdict")] == ["words", "nf4", "FAIL"]
    assert [found[f"quant_{name}"] for name in ("pp", "ff", "pf", "fp", "unscored")] == ["2", "0", "2", "0", "0"]
    assert (found["quant_pass_to_fail"], found["quant_pass_to_fail_limit"]) == ("0.5", "0.1")
    assert float(found["quant_pass_to_fail_low"]) < 0.5 < float(found["quant_pass_to_fail_high"])
    assert found["quant_robustness_limit"] == "0.9"


def test_a_passed_gate_is_a_testcase_too(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    gate = cases(lab)["gate[nf4]"]
    assert properties(gate)["quant_verdict"] == "PASS"
    assert gate.find("failure") is None


def test_a_gate_of_a_partial_selection_is_skipped(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    skipped = cases(lab, "-k", "case-0")["gate[nf4]"].find("skipped")
    assert skipped is not None
    assert "partial selection: 1 of 2 cases" in str(skipped.get("message"))
