"""Cases asked in looks: the same verdicts as asking all at once, for fewer answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.sequential import order
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab

COUNT = 40
GATE: dict[str, Any] = {"rule": "evidence", "max_pass_to_fail": 0.3, "min_robustness": 0.5, "min_cases": 10}
SEQUENTIAL = ("--quant-sequential", "--quant-report-json=run.json")


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text())


def asked(report: RunReport, name: str = "words") -> set[str]:
    return {record.case.id for record in report.cases if record.slice == name and record.outcomes}


@pytest.mark.parametrize(("candidate", "verdict"), [("ruin:2bit", Verdict.FAIL), ("fp32", Verdict.PASS)])
def test_clear_cases_are_decided_early_and_alike(lab: Lab, candidate: str, verdict: Verdict) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    whole = lab.run("--quant-report-json=run.json", candidates=(candidate,))
    assert [gate.verdict for gate in report_of(lab).gates] == [verdict]
    result = lab.run("-rs", *SEQUENTIAL, candidates=(candidate,))
    assert result.ret == whole.ret
    report = report_of(lab)
    (gate,) = report.gates
    assert gate.verdict is verdict
    assert not gate.partial
    assert gate.evidence is not None
    count = gate.evidence.looks[-1].cases
    assert 10 <= count < COUNT
    assert gate.evidence.planned == COUNT
    assert len(asked(report)) == count
    assert report.settings.seed is not None
    not_asked = f"not asked: after {count} of {COUNT} cases more would not change the verdict"
    result.stdout.fnmatch_lines(
        [
            f"quantgate: cases in looks, order of seed {report.settings.seed}",
            f"quantgate: look 1: cases of words * of {COUNT}",
            f"SKIPPED [[]{COUNT - count}[]] words.slice.yaml:2: {not_asked}",
        ]
    )
    assert f"{COUNT - count} skipped" in result.stdout.str()


def test_what_is_not_clear_is_asked_to_the_end(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT, degraded=12), **GATE)
    result = lab.run(*SEQUENTIAL)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report = report_of(lab)
    (gate,) = report.gates
    assert gate.verdict is Verdict.INCONCLUSIVE
    assert gate.evidence is not None
    assert len(gate.evidence.looks) > 1
    assert sum(look.share for look in gate.evidence.looks) == pytest.approx(1)
    assert len(asked(report)) == COUNT
    result.stdout.no_fnmatch_line("*not asked*")


def test_a_slice_goes_on_until_all_its_candidates_are_decided(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT, degraded=12), **GATE)
    lab.run(*SEQUENTIAL, candidates=("nf4", "ruin:2bit"))
    report = report_of(lab)
    assert [gate.verdict for gate in report.gates] == [Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert len(asked(report)) == COUNT


def test_a_decided_slice_stops_beside_one_that_goes_on(lab: Lab) -> None:
    lab.write("open", lab.many(28, degraded=8), **GATE)
    lab.write("clear", lab.many(28), **GATE)
    lab.run(*SEQUENTIAL)
    report = report_of(lab)
    assert {gate.slice: gate.verdict for gate in report.gates} == {"open": Verdict.INCONCLUSIVE, "clear": Verdict.PASS}
    assert len(asked(report, "clear")) < len(asked(report, "open")) == 28


def test_the_order_is_that_of_the_seed_and_not_of_the_file(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    lab.run(*SEQUENTIAL, candidates=("fp32",))
    report = report_of(lab)
    assert report.settings.seed is not None
    drawn = [case.id for case in order([record.case for record in report.cases], report.settings.seed)]
    found = asked(report)
    assert found == set(drawn[: len(found)])
    assert found != {f"case-{number}" for number in range(len(found))}


def test_an_interrupted_run_goes_on_from_its_answers(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(COUNT, degraded=12), **GATE)
    real, calls = LlamaForCausalLM.forward, 0

    def interrupted(self: LlamaForCausalLM, *arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise KeyboardInterrupt
        return real(self, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LlamaForCausalLM, "forward", interrupted)
        result = lab.run(*SEQUENTIAL)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    kept = int(re.findall(r"interrupted: (\d+) answers are kept", result.stdout.str())[0])
    assert kept > 0
    assert empty_cache.exists()
    assert not (lab.pytester.path / "run.json").exists()
    lab.run(*SEQUENTIAL)
    report = report_of(lab)
    variants = (report.reference, *report.candidates)
    assert sum(each.cached for each in variants) == kept
    assert sum(each.cached + each.generated for each in variants) == 2 * COUNT


def test_a_python_test_has_all_the_cases_that_it_wants(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("words.slice.yaml")
        def test_words(quant_case):
            assert quant_case.reference.passed
        """
    )
    result = lab.run(*SEQUENTIAL, candidates=("fp32",))
    assert result.ret == pytest.ExitCode.OK
    (gate,) = report_of(lab).gates
    assert gate.evidence is not None
    count = gate.evidence.looks[-1].cases
    assert count < COUNT
    result.assert_outcomes(passed=COUNT + count + 1, skipped=COUNT - count)


def test_controls_are_looked_at_too(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    result = lab.run(*SEQUENTIAL, "--quant-control=ruin:2bit", "--quant-noise-floor", candidates=("fp32",))
    assert result.ret == pytest.ExitCode.OK
    report = report_of(lab)
    assert {each.role: each.verdict for each in report.controls} == {
        "positive control": Verdict.FAIL,
        "negative control": Verdict.PASS,
    }
    assert len(asked(report)) < COUNT
    assert report.control_variants[0].cached + report.control_variants[0].generated == len(asked(report))


def test_a_blind_slice_is_not_asked_to_its_end(lab: Lab) -> None:
    cases = [{**case, "checks": [{"word_count": {"max": 99}}]} for case in lab.many(COUNT)]
    lab.write("words", cases, **GATE)
    result = lab.run(*SEQUENTIAL, "--quant-control=ruin:2bit")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report = report_of(lab)
    assert [gate.blind for gate in report.gates] == ["ruin:2bit"]
    assert len(asked(report)) < COUNT


def test_trouble_ends_the_asking(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    result = lab.run(*SEQUENTIAL, candidates=("nf4:skip=no_such_module",))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*1 failed, {COUNT} unscored*"])
    result.stdout.no_fnmatch_line("quantgate: look 2*")


def test_a_part_of_a_slice_is_asked_at_once(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    result = lab.run(*SEQUENTIAL, "-k", "case-1")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*11 passed, 1 skipped*"])
    result.stdout.no_fnmatch_line("quantgate: look*")


def test_a_stop_at_the_first_failure_leaves_cases_missing(lab: Lab) -> None:
    lab.write("words", lab.many(COUNT), **GATE)
    result = lab.run(*SEQUENTIAL, "-x", "--quant-strict", candidates=("ruin:2bit",))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *gate[[]ruin:2bit[]] - INCONCLUSIVE: missing cases: *"])


def test_the_point_rule_has_nothing_to_stop_by(lab: Lab) -> None:
    lab.write("words", lab.many(4))
    for more in ((), ("--quant-dry-run",)):
        result = lab.run("--quant-sequential", *more)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: words.slice.yaml:2: slice words: --quant-sequential needs *: add --quant-rule evidence*"]
        )
