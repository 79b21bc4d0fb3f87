"""`quantgate gate`: what is refused and told, and what can act on neither files nor the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import WIDEST
from pytest_quantgate.gate.model import Verdict
from tests.unit.cli.recorded import answers, gate, only_gate, write_answers, write_run


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run()


def test_a_policy_that_cannot_be_decided_is_refused_before_answers_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("good.jsonl").write_text("not read\n")
    assert gate("--rule", "evidence", "--max-pass-to-fail", "0.01") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "sums.slice.yaml:1: slice sums: " in told.err
    assert "--allow-underpowered" in told.err
    write_answers(Path("good.jsonl"), answers())
    assert gate("--rule", "evidence", "--max-pass-to-fail", "0.01", "--allow-underpowered") == 1
    assert only_gate().verdict is Verdict.INCONCLUSIVE


def test_nothing_is_written_where_no_file_is_named() -> None:
    before = set(Path().iterdir())
    assert main(["gate", "--reference", "fp16.jsonl", "--candidate", "good.jsonl", "sums.slice.yaml"]) == 0
    assert set(Path().iterdir()) == before


@pytest.mark.parametrize("name", ["fp16.jsonl", "good.jsonl", "./good.jsonl", "sums.slice.yaml"])
def test_a_report_never_takes_the_place_of_what_is_judged(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(name).read_bytes()
    assert gate("--report-json", name) == 2
    assert "--report-json" in capsys.readouterr().err
    assert Path(name).read_bytes() == before


def test_a_report_never_takes_the_place_of_a_slice_of_a_folder_that_is_judged() -> None:
    Path("quant").mkdir()
    Path("sums.slice.yaml").rename("quant/sums.slice.yaml")
    before = Path("quant/sums.slice.yaml").read_bytes()
    words = ["gate", "--reference", "fp16.jsonl", "--candidate", "good.jsonl", "quant"]
    assert main([*words, "--report-json", "quant/sums.slice.yaml"]) == 2
    assert Path("quant/sums.slice.yaml").read_bytes() == before


def test_a_report_never_takes_the_place_of_what_is_no_report(capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("to do\n")
    assert gate("--report-json", "notes.txt") == 2
    assert "notes.txt: no report can be written there: that file is no JSON report" in capsys.readouterr().err
    assert Path("notes.txt").read_text() == "to do\n"


def test_an_older_report_does_not_outlive_a_run_that_ended_early() -> None:
    assert gate() == 0
    Path("good.jsonl").write_text("{\n")
    assert gate() == 1
    assert not Path("run.json").exists()


def test_a_report_that_cannot_be_written_is_told_before_anything_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    Path("good.jsonl").write_text("{\n")
    assert gate("--report-json", "folder") == 2
    assert "quantgate: folder: no report can be written there" in capsys.readouterr().err


def test_every_problem_of_every_file_is_told_in_one_go(capsys: pytest.CaptureFixture[str]) -> None:
    write_answers(Path("fp16.jsonl"), ["{", *answers()])
    write_answers(Path("good.jsonl"), [*answers(), {"id": "c99", "response": ""}, {"id": "c1", "response": ""}])
    assert gate() == 1
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0].startswith("fp16.jsonl:1: bad JSON")
    assert lines[1].startswith("good.jsonl:41: slice 'sums' has no case 'c99'")
    assert lines[2] == "good.jsonl:42: a second answer to 'c1' of 'sums': line 2 has one"
    assert lines[3] == "3 problems"


def test_problems_of_slice_files_are_told_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sums.slice.yaml").write_text("slice: sums\ncases: 3\n")
    assert gate() == 1
    assert capsys.readouterr().err.startswith("sums.slice.yaml:2: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--candidate", "elsewhere/good.jsonl"], "2 files of answers are called 'good'"),
        (["--control", "fp16=bad.jsonl"], "2 files of answers are called 'fp16'"),
        (["--control", "nowhere.jsonl"], "nowhere.jsonl: cannot be read: No such file"),
        (["--control", "."], "no file, or no name"),
        (["--control", "a::b=bad.jsonl"], "no file, or no name"),
        (["--control", "x="], "no file, or no name"),
        (["--alpha", "0.7"], "--alpha: alpha is 0.7"),
        (["--alpha", "nan"], "--alpha: alpha is nan"),
        (["--max-pass-to-fail", "1.5"], "--max-pass-to-fail: max_pass_to_fail is 1.5"),
        (["--min-robustness", "nan"], "--min-robustness: min_robustness is nan"),
        (["--min-cases", "0"], "--min-cases: min_cases is 0"),
        (["--judge", "nonsense"], "nonsense"),
    ],
)
def test_options_that_cannot_be_right_are_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("quantgate: ")
    assert told in err


def test_no_slice_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "--reference", "fp16.jsonl", "--candidate", "good.jsonl"]) == 2
    assert "no slice is named" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["--candidate", "a"], ["--rule", "guess"], ["--alpha", "x"], ["--min-cases", "1.5"]]
)
def test_arguments_that_cannot_be_read_show_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    needed = (
        ["--reference", "fp16.jsonl", "--candidate", "good.jsonl"] if arguments[:1] not in ([], ["--candidate"]) else []
    )
    with pytest.raises(SystemExit) as ended:
        main(["gate", *needed, *arguments, "sums.slice.yaml"])
    assert ended.value.code == 2
    assert "usage: quantgate gate" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["", "soon"])
def test_a_moment_that_is_none_is_told_before_anything_is_judged(
    moment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
    assert gate(slices="missing.slice.yaml") == 2
    assert "SOURCE_DATE_EPOCH" in capsys.readouterr().err


def test_a_terminal_of_any_width_is_filled_within_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "99999999")
    assert gate(candidate="bad.jsonl") == 1
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDEST


def test_what_a_file_says_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    escape = "\x1b[31m\u202e"
    write_answers(Path("good.jsonl"), [{"id": f"c1{escape}", "response": escape}, {escape: 1}, f"{{{escape}"])
    gate()
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\u202e" not in told.out + told.err


def test_control_characters_in_answers_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[dict[str, Any]] = [{**line, "response": "\x1b[31m\u202enone"} for line in answers()]
    write_answers(Path("bad.jsonl"), lines)
    assert gate("--breakdown", candidate="bad.jsonl") == 1
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\u202e" not in told.out + told.err
