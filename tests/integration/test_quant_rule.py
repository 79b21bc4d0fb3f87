"""The rule ``evidence``: verdicts only where chance is ruled out, and what undecided gates do to the build."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab

LENIENT: dict[str, Any] = {"max_pass_to_fail": 0.3, "min_robustness": 0.5}
"""Nine cases without a degraded one prove that a rate is below this limit."""


def gates(lab: Lab) -> dict[tuple[str, str], GateResult]:
    report = RunReport.from_json((lab.pytester.path / "run.json").read_text())
    return {(gate.slice, gate.candidate): gate for gate in report.gates}


@pytest.mark.parametrize(
    ("degraded", "verdict", "status"),
    [
        (0, Verdict.PASS, pytest.ExitCode.OK),
        (3, Verdict.INCONCLUSIVE, pytest.ExitCode.TESTS_FAILED),
        (9, Verdict.FAIL, pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_a_verdict_needs_evidence(lab: Lab, degraded: int, verdict: Verdict, status: pytest.ExitCode) -> None:
    lab.write("words", lab.many(12, degraded=degraded), rule="evidence", **LENIENT)
    result = lab.run("--quant-report-json=run.json")
    assert result.ret == status
    gate = gates(lab)["words", "nf4"]
    assert gate.verdict is verdict
    assert gate.policy.rule == "evidence"
    assert gate.evidence is not None
    assert (gate.evidence.alpha, gate.evidence.gates) == (0.05, 1)
    if verdict is not Verdict.PASS:
        result.stdout.fnmatch_lines([f"words, nf4: {verdict.value}", f"FAILED *gate[[]nf4[]] - {verdict.value}: *"])


def test_the_point_rule_would_decide_what_evidence_leaves_open(lab: Lab) -> None:
    lab.write("words", lab.many(12, degraded=3), **LENIENT)
    assert lab.run().ret == pytest.ExitCode.OK
    assert lab.run("--quant-rule", "evidence").ret == pytest.ExitCode.TESTS_FAILED


def test_the_command_line_wins_over_the_slice_file_and_that_over_the_ini_file(lab: Lab) -> None:
    lab.write("words", lab.many(12), rule="evidence", **LENIENT)
    lab.write("others", lab.many(12), **LENIENT)
    lab.pytester.makeini("[pytest]\nquant_rule = evidence\n")
    lab.run("--quant-report-json=run.json")
    assert {gate.policy.rule for gate in gates(lab).values()} == {"evidence"}
    lab.pytester.makeini("[pytest]\nquant_rule = point\n")
    lab.run("--quant-report-json=run.json")
    assert {name: gate.policy.rule for (name, _), gate in gates(lab).items()} == {
        "words": "evidence",
        "others": "point",
    }
    lab.run("--quant-report-json=run.json", "--quant-rule=point")
    assert {gate.policy.rule for gate in gates(lab).values()} == {"point"}


def test_all_gates_of_a_run_are_one_family(lab: Lab) -> None:
    lab.write("words", lab.many(16), rule="evidence", **LENIENT)
    lab.write("others", lab.many(16), rule="evidence", **LENIENT)
    result = lab.run("--quant-report-json=run.json", candidates=("nf4,fp32",))
    assert result.ret == pytest.ExitCode.OK
    found = [gate.evidence for gate in gates(lab).values() if gate.evidence is not None]
    assert [each.gates for each in found] == [4, 4, 4, 4]
    alone = found[0].looks[0].p_pass
    assert all(each.p_pass == pytest.approx(4 * alone) for each in found)


def test_alpha_is_shown_and_kept(lab: Lab) -> None:
    lab.write("words", lab.many(12), **LENIENT)
    result = lab.run("--quant-rule=evidence", "--quant-alpha=0.02", "--quant-report-json=run.json")
    result.stdout.fnmatch_lines(["quantgate: rule evidence, alpha 0.02"])
    report = RunReport.from_json((lab.pytester.path / "run.json").read_text())
    assert report.settings.alpha == 0.02
    assert report.base_command[-5:] == (
        f"--quant-model={lab.tiny.folder}",
        "--quant-rule",
        "evidence",
        "--quant-alpha",
        "0.02",
    )


def test_a_run_by_the_point_rule_says_nothing_of_it(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.run().stdout.no_fnmatch_line("quantgate: rule*")


def test_an_undecided_gate_may_be_let_pass(lab: Lab) -> None:
    lab.write("words", lab.many(12, degraded=3), rule="evidence", **LENIENT)
    result = lab.run("--quant-inconclusive=pass", "--junitxml=out.xml", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*9 passed, 1 skipped, 3 degraded in *"])
    document = ET.parse(lab.pytester.path / "out.xml")  # noqa: S314  (pytest's own file)
    (gate,) = (case for case in document.iter("testcase") if case.get("name") == "gate[nf4]")
    skipped = gate.find("skipped")
    assert skipped is not None
    assert "PASS→FAIL 3 of 12" in str(skipped.get("message"))
    properties = {str(each.get("name")): each.get("value") for each in gate.iter("property")}
    said = [properties[f"quant_{name}"] for name in ("slice", "candidate", "verdict", "pf", "pass_to_fail_limit")]
    assert said == ["words", "nf4", "INCONCLUSIVE", "3", "0.3"]
    report = RunReport.from_json((lab.pytester.path / "run.json").read_text())
    assert report.settings.inconclusive == "pass"
    assert report.verdict is Verdict.INCONCLUSIVE


def test_what_is_let_pass_is_neither_damage_nor_a_model_that_is_not_there(lab: Lab) -> None:
    lab.write("words", lab.many(12, degraded=9), rule="evidence", **LENIENT)
    assert lab.run("--quant-inconclusive=pass").ret == pytest.ExitCode.TESTS_FAILED
    result = lab.run("--quant-inconclusive=pass", "--quant-model=/no/model")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *gate[[]nf4[]] - INCONCLUSIVE: /no/model: no such model*"])


def test_cases_that_gave_no_result_are_not_let_pass(lab: Lab) -> None:
    lab.write("words", lab.many(4))
    lab.pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_call(item):
            if item.name == "case-1[nf4]":
                raise RuntimeError
        """
    )
    result = lab.run("-x", "--quant-inconclusive=pass")
    # a worker may have more of them behind it when another one stops the run
    result.stdout.fnmatch_lines(["FAILED *gate[[]nf4[]] - INCONCLUSIVE: missing cases: [123] of 4*"])
