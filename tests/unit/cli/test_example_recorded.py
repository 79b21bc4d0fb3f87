"""The example of recorded answers runs as its README says, and the page about them is true."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.model import RunReport

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "recorded_answers"
PAGE = (ROOT / "docs" / "recorded-answers.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)


def commands() -> list[list[str]]:
    lines = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    quantgate ")]


def run_of(command: list[str]) -> tuple[int, RunReport]:
    status = main([*command, "--report-json", "run.json"])
    return status, RunReport.from_json(Path("run.json").read_text())


def test_the_candidate_fails_and_the_control_is_seen() -> None:
    status, run = run_of(commands()[0])
    assert status == 1
    (found,) = run.gates
    counts = found.statistics.counts
    assert (counts.pp + counts.pf, counts.pf, counts.n) == (38, 3, 40)
    assert found.verdict is Verdict.FAIL
    assert [each.verdict for each in run.controls] == [Verdict.FAIL, Verdict.PASS]


def test_forty_cases_prove_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _, power, evidence = commands()
    assert main(power) == 1
    assert "takes 59 cases to PASS" in " ".join(capsys.readouterr().out.split())
    status, run = run_of(evidence)
    assert status == 1
    assert [found.verdict for found in run.gates] == [Verdict.INCONCLUSIVE]


def test_the_loop_of_the_page_records_every_case() -> None:
    Path("fp16.jsonl").unlink()
    Path("quant").mkdir()
    shutil.copy("sums.slice.yaml", "quant")
    exec(compile(CODE[0], "docs", "exec"), {})  # noqa: S102  (the page's own code)
    command = ["gate", "--reference", "fp16.jsonl", "--candidate", "same=fp16.jsonl", "sums.slice.yaml"]
    _, run = run_of(command)
    assert all(len(record.outcomes) == 2 for record in run.cases)


def test_a_run_report_becomes_recorded_answers_that_are_judged_alike() -> None:
    first = commands()[0]
    _, run = run_of(first)
    for name in ("fp16.jsonl", "nf4.jsonl"):
        Path(name).unlink()
    exec(compile(CODE[1], "docs", "exec"), {})  # noqa: S102  (the page's own code)
    _, again = run_of(first)
    assert [found.statistics for found in again.gates] == [found.statistics for found in run.gates]


def test_every_key_of_a_line_is_told() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert told == {"slice", "id", "response", "responses", "finish_reason", "tokens", "recall"}
