"""`quantgate rerun` and `quantgate show` on the report of a real run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands import rerun
from tests.integration.conftest import Lab

pytestmark = pytest.mark.alone(reason="the command starts the run, without workers")


@pytest.fixture
def ran(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """One slice of two candidates, of which nf4 degrades in twelve cases; another slice that nothing happens to."""
    cases = [lab.degraded(f"case-{number}") for number in range(12)]
    lab.write("words", [lab.preserved("good"), *cases], file="quant/words.slice.yaml")
    lab.write("others", lab.many(1), file="quant/others.slice.yaml")
    lab.run("quant", "--quant-report-json", "run.json", candidates=("fp32", "nf4"))

    def run(command: Sequence[str]) -> int:
        assert command[:3] == (sys.executable, "-m", "pytest")
        return lab.pytester.runpytest_inprocess(*command[3:]).ret

    monkeypatch.setattr(rerun, "run", run)  # in this process, which has torch already
    return lab


@pytest.mark.usefixtures("ran")
def test_degraded_cases_run_again_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rerun", "run.json", "--only", "degraded", "--yes"]) == pytest.ExitCode.OK
    out = capsys.readouterr().out
    assert "12 cases, named in " in out
    assert "collected 12 items" in out
    assert "12 degraded" in out
    assert "partial selection: 12 of 13 cases" in out


@pytest.mark.usefixtures("ran")
def test_the_gates_of_a_candidate_are_judged_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rerun", "run.json", "--candidate", "nf4", "--yes"]) == pytest.ExitCode.TESTS_FAILED
    out = capsys.readouterr().out
    assert "collected 14 items" in out
    assert "FAILED quant/words.slice.yaml::gate[nf4]" in out


def test_a_case_is_shown_by_the_tokens_of_its_model(ran: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["show", "run.json", "quant/words.slice.yaml::case-3[nf4]"]) == 0
    out = capsys.readouterr().out
    assert "words::case-3[nf4]  PASS→FAIL" in out
    assert f"Token by token, as the tokenizer of {ran.tiny.folder}" in " ".join(out.split())
    assert "nats are odds of " in out
    (record,) = [each for each in json.loads(Path("run.json").read_text())["cases"] if each["case"]["id"] == "case-3"]
    words = record["outcomes"]["nf4"]["text"].split()
    assert all(f"'{word}'" in out for word in words[:1])
