from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab

OLD = (Path(__file__).parents[2] / "fixtures" / "run_reports" / "v3.json").read_text()


def test_the_report_holds_the_whole_run(lab: Lab) -> None:
    cases = [lab.preserved("same"), lab.degraded("worse"), lab.unscored("long")]
    lab.write("words", cases, max_pass_to_fail=0.0)
    lab.run("--quant-report-json", "out/run.json", candidates=("nf4", "fp32"))
    report = RunReport.from_json((lab.pytester.path / "out/run.json").read_text())
    assert report.report_path == "out/run.json"
    assert report.command[0] == "pytest"
    assert "--quant-report-json" in report.command
    assert report.base_command == (
        "pytest",
        "--quant-cand",
        "nf4",
        "--quant-cand",
        "fp32",
        f"--quant-model={lab.tiny.folder}",
    )
    assert (report.device, report.compute_dtype) == ("cpu", "float32")
    assert [candidate.spec for candidate in report.candidates] == ["nf4", "fp32"]
    assert report.candidates[0].audit is not None
    assert report.reference.audit is None
    assert report.reference.cached + report.reference.generated == 3
    assert [record.case.id for record in report.cases] == ["same", "worse", "long"]
    assert report.cases[0].node_ids == {
        "nf4": "words.slice.yaml::same[nf4]",
        "fp32": "words.slice.yaml::same[fp32]",
    }
    assert set(report.cases[0].outcomes) == {"fp16", "nf4", "fp32"}
    assert [case.case.id for case in report.degraded("words", "nf4")] == ["worse"]
    assert {(gate.slice, gate.candidate) for gate in report.gates} == {("words", "nf4"), ("words", "fp32")}


def test_the_line_that_reruns_degraded_cases_does(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=2), max_pass_to_fail=0.0)
    result = lab.run()
    (line,) = [line for line in result.outlines if " -k " in line]
    again = lab.pytester.runpytest_inprocess(*shlex.split(line)[1:])
    assert again.ret == pytest.ExitCode.OK
    again.stdout.fnmatch_lines(["*1 skipped, 2 deselected, 2 degraded*"])


def test_a_report_that_cannot_be_written_fails_a_run_that_was_fine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    lab.write("words", lab.many(2))
    monkeypatch.setattr(os, "fsync", full)
    result = lab.run("--quant-report-json", "run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: --quant-report-json *: the report cannot be written: *No space*"])
    assert not (lab.pytester.path / "run.json").exists()


@pytest.mark.parametrize("function", ["plugin.assemble.assemble", "report.model.RunReport.to_json"])
def test_a_fault_in_the_report_leaves_the_verdicts(lab: Lab, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    def broken(*_: object) -> None:
        raise TypeError("what a surprise")

    lab.write("words", lab.many(2))
    monkeypatch.setattr(f"pytest_quantgate.{function}", broken)
    result = lab.run("--quant-report-json", "run.json", "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*::gate[[]nf4[]] PASSED*", "quantgate: internal error*TypeError: what a surprise"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_an_earlier_report_is_gone_when_nothing_was_gated(lab: Lab) -> None:
    lab.pytester.makepyfile("def test_one(): pass")
    path = lab.pytester.path / "run.json"
    path.write_text(OLD)
    lab.run("--co", "--quant-report-json=run.json")
    assert path.exists()
    lab.run("--quant-report-json=run.json")
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    result = lab.run("--quant-report-json=words.slice.yaml/run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith("ERROR: --quant-report-json ")


def test_a_rerun_asks_the_model_that_was_asked(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    model, plugin = f"quant_model={lab.tiny.folder}", "no:nose"
    lab.pytester.runpytest_inprocess("-o", model, "-p", plugin, "--quant-cand=nf4", "--quant-report-json", "run.json")
    report = RunReport.from_json((lab.pytester.path / "run.json").read_text())
    assert report.base_command == ("pytest", "-p", plugin, "-o", model, "--quant-cand", "nf4")


def test_an_old_report_is_replaced_whole(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    path = lab.pytester.path / "run.json"
    path.write_text(OLD)
    lab.run("--quant-report-json=run.json")
    assert json.loads(path.read_text())["gates"]
    assert [each.name for each in lab.pytester.path.glob(".quantgate-*")] == []


def test_node_ids_are_written_as_the_folder_needs_them(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.pytester.makeini("[pytest]")
    lab.write("words", lab.many(1), file="sub/words.slice.yaml")
    monkeypatch.chdir(lab.pytester.path / "sub")
    lab.run("--quant-report-json", "run.json")
    report = RunReport.from_json((lab.pytester.path / "sub/run.json").read_text())
    assert report.cases[0].node_ids == {"nf4": "words.slice.yaml::case-0[nf4]"}


def test_a_name_as_long_as_a_name_can_be_is_written(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    path = lab.pytester.path / ("r" * 255)
    assert lab.run(f"--quant-report-json={path}").ret == pytest.ExitCode.OK
    assert json.loads(path.read_text())["gates"]


def test_a_device_is_not_replaced(lab: Lab) -> None:
    lab.write("words", lab.many(1))
    pipe = lab.pytester.path / "pipe"
    os.mkfifo(pipe)
    result = lab.run(f"--quant-report-json={pipe}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --quant-report-json {pipe}: this is not a regular file*"])
    assert pipe.is_fifo()
