"""The reference against itself, run another way: what changes there is noise, and gates judge what goes beyond it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.generation import run as generation
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.variants import variant as variants
from tests.integration.conftest import Lab

AGAIN = "fp16 run another way"


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text())


def test_in_float32_the_floor_is_zero(lab: Lab) -> None:
    lab.write("words", lab.many(5), max_pass_to_fail=0.1)
    result = lab.run("--quant-noise-kernels", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: noise floor with other kernels", f"{AGAIN}: *5 answers *"])
    result.assert_outcomes(passed=6)  # the second run has no items of its own
    report = report_of(lab)
    (gate,) = report.gates
    assert gate.floor is not None
    assert (gate.floor.pass_to_fail, gate.floor.fail_to_pass, gate.floor.cases) == (0, 0, 5)
    assert report.floor_variant is not None
    assert report.floor_variant.spec == AGAIN
    assert report.floor_variant.digest not in {"", report.reference.digest}
    assert all(AGAIN in record.outcomes for record in report.cases)
    (control,) = report.controls
    assert (control.role, control.candidate, control.verdict) == ("negative control", AGAIN, Verdict.PASS)
    assert "--quant-noise-kernels" in report.base_command


def test_it_is_kept_in_the_cache_apart_from_the_reference(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(3))
    first = lab.run("--quant-noise-floor", candidates=("fp32",))
    assert empty_cache.exists()
    first.stdout.fnmatch_lines(["fp16: 3 answers to generate*", f"{AGAIN}: 3 answers to generate*"])
    again = lab.run("--quant-noise-floor", candidates=("fp32",))
    again.stdout.fnmatch_lines(["fp16: all 3 answers cached", f"{AGAIN}: all 3 answers cached"])
    kernels = lab.run("--quant-noise-kernels", candidates=("fp32",))
    kernels.stdout.fnmatch_lines([f"{AGAIN}: 3 answers to generate*"])


def test_in_bfloat16_with_other_kernels_it_is_above_zero(lab: Lab) -> None:
    lab.write("words", lab.many(50), max_pass_to_fail=0.5, min_robustness=0.5)
    options = ("--quant-noise-kernels", "--quant-compute-dtype=bfloat16", "--quant-report-json=run.json")
    result = lab.run(*options, candidates=("fp32",))
    assert result.ret == pytest.ExitCode.OK
    (gate,) = report_of(lab).gates
    assert gate.floor is not None
    assert gate.floor.pass_to_fail + gate.floor.fail_to_pass > 0


def noisy(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    """Let the second run of the reference say something else where it said one of these."""
    real = generation.answer

    def answer(variant: Any, *arguments: Any, **more: Any) -> generation.Answers:
        found = real(variant, *arguments, **more)
        if variant.label != AGAIN:
            return found
        completions = {
            digest: replace(each, text="something else") if each.text in texts else each
            for digest, each in found.completions.items()
        }
        return replace(found, completions=completions)

    monkeypatch.setattr(generation, "answer", answer)


def test_the_gate_judges_the_excess_over_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = lab.many(10, degraded=4)
    lab.write("words", cases, max_pass_to_fail=0.25, min_robustness=0.5)
    assert lab.run().ret == pytest.ExitCode.TESTS_FAILED
    noisy(monkeypatch, [case["checks"][0]["exact"] for case in cases[-2:]])
    assert lab.run("--quant-noise-floor", "--quant-report-json=run.json").ret == pytest.ExitCode.OK
    (gate,) = report_of(lab).gates
    finding = gate.finding("max_pass_to_fail")
    assert finding is not None
    assert finding.measured == pytest.approx(0.4 - 0.2)
    assert gate.statistics.counts.pf == 4
    assert gate.floor is not None
    assert gate.floor.pass_to_fail == 2


def test_a_floor_above_the_limit_leaves_nothing_to_judge(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = lab.many(10, degraded=4)
    lab.write("words", cases, max_pass_to_fail=0.25, min_robustness=0.5)
    noisy(monkeypatch, [case["checks"][0]["exact"] for case in cases[-4:]])
    result = lab.run("--quant-noise-floor")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAILED *gate[[]nf4[]] - INCONCLUSIVE: the negative control {AGAIN} must PASS*"])


def test_trouble_with_the_second_run_leaves_every_gate_open(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ModelError("there are no other kernels")

    monkeypatch.setattr(variants, "run_another_way", broken)
    lab.write("words", lab.many(3))
    result = lab.run("--quant-noise-floor", "--quant-inconclusive=pass")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "quantgate: error: there are no other kernels",
            "FAILED *gate[[]nf4[]] - INCONCLUSIVE: noise floor: there are no other kernels*",
            "*1 failed, 3 passed in *",
        ]
    )


def test_a_case_of_several_turns_is_asked_again_turn_by_turn(lab: Lab) -> None:
    turns = [{"prompt": prompt, "checks": [{"word_count": {"max": 99}}]} for prompt in list(lab.tiny.prompts())[:2]]
    lab.write("chats", [{"id": "talk", "turns": turns}], max_pass_to_fail=0.5)
    assert lab.run("--quant-noise-floor", "--quant-report-json=run.json").ret == pytest.ExitCode.OK
    (record,) = report_of(lab).cases
    before, again = ([turn.completion.text for turn in record.outcomes[spec].turns] for spec in ("fp16", AGAIN))
    assert len(again) == 2
    assert again == before


def test_a_dry_run_counts_what_the_second_run_would_generate(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(3))
    result = lab.run("--quant-dry-run", "--quant-noise-floor")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"  slice * fp16 * nf4 *{AGAIN}", "  words * 0 * 0 * 0"])
    assert empty_cache.exists()
