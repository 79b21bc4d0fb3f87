from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.report.html import page
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.model import RunReport, SliceRecord, VariantRecord
from pytest_quantgate.report.terminal import render


@pytest.fixture
def run() -> RunReport:
    return RunReport(
        tool_version="0.1.0",
        created="2026-01-01T00:00:00Z",
        command=("pytest", "--quant-cand", "nf4"),
        base_command=("pytest", "--quant-cand", "nf4"),
        report_path="run.json",
        model="some-model",
        revision=None,
        device="cpu",
        compute_dtype="float32",
        reference=VariantRecord("fp16", "0" * 64),
        candidates=(VariantRecord("nf4", "1" * 64),),
        slices=(SliceRecord("format", "", "format.slice.yaml", 3),),
        gates=judge([GateInput("format", "nf4", [], GatePolicy(), selected=0, total=3)]),
        cases=(),
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_a_stored_run_is_shown_as_wide_as_the_terminal(
    columns: int,
    run: RunReport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    file = tmp_path / "run.json"
    file.write_text(run.to_json())
    assert main(["report", str(file)]) == 0
    out = capsys.readouterr().out
    assert "INCONCLUSIVE" in out
    assert out.rstrip() == render(run, width=columns, color=False).rstrip()
    assert main(["report", str(file), "--breakdown"]) == 0
    assert capsys.readouterr().out.rstrip() == render(run, width=columns, color=False, breakdown=True).rstrip()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "another"}', b"\xff\xfe"])
def test_a_file_that_is_no_report_is_told(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(content)
    assert main(["report", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"quantgate: {file}: ")
    assert "--quant-report-json" in err
    assert "quantgate gate" in err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "run.json")]) == 2
    assert "No such file" in capsys.readouterr().err


@pytest.fixture
def stored(run: RunReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run, kept as run.json in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("run.json").write_text(run.to_json())
    return run.to_json()


@pytest.mark.usefixtures("stored")
def test_views_are_written_instead_of_shown(run: RunReport, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "run.json", "--html", "out/run.html", "--markdown", "out/comment.md"]) == 0
    assert capsys.readouterr().out == "wrote out/run.html\nwrote out/comment.md\n"
    assert Path("out/comment.md").read_text(encoding="utf-8") == markdown_report(run)
    assert Path("out/run.html").read_text(encoding="utf-8") == page(run)
    assert main(["report", "run.json", "--markdown", "comment.md", "--breakdown"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("wrote comment.md\n")
    assert "INCONCLUSIVE" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--markdown", "./run.json"], "--markdown run.json: the run itself is that file"),
        (["--html", "a", "--markdown", "a"], "--markdown a: --html is that file"),
        (["--markdown", "folder"], "folder: no report can be written there: not a regular file"),
        (
            ["--html", "people.slice.yaml"],
            "people.slice.yaml: no report can be written there: that file is no HTML report",
        ),
        (["--html", "old.html", "--markdown", "old.html/a"], "old.html/a: no report can be written there: "),
        (["--markdown", "run.json/a"], "run.json/a: no report can be written there: "),
    ],
)
def test_a_view_that_cannot_be_written_is_told_and_takes_nothing_with_it(
    words: list[str], told: str, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    Path("people.slice.yaml").write_text("slice: people\n")
    Path("old.html").touch()
    assert main(["report", "run.json", *words]) == 2
    assert capsys.readouterr().err.startswith(f"quantgate: {told}")
    assert Path("run.json").read_text() == stored
    assert Path("people.slice.yaml").read_text() == "slice: people\n"
    assert Path("old.html").exists()


def test_a_report_of_an_earlier_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    earlier = Path(__file__).parents[3] / "fixtures" / "run_reports" / "v2.json"
    assert main(["report", str(earlier)]) == 0
    assert "positive control ruin:2bit: seen in format, talk; BLIND: math (PASS)" in capsys.readouterr().out
