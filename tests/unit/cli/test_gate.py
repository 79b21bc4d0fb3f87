from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.checks.code import seccomp
from pytest_quantgate.cli import WIDEST, main
from pytest_quantgate.gate.model import GateResult, Verdict
from pytest_quantgate.report.model import RunReport
from tests.unit.cli.recorded import CASES, answers, write_answers, write_slice


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_slice(tmp_path)
    write_answers(Path("fp16.jsonl"), answers())
    write_answers(Path("good.jsonl"), answers({3}))
    write_answers(Path("close.jsonl"), answers({3, 4, 5}))
    write_answers(Path("bad.jsonl"), answers(range(10)))


def gate(*arguments: str, candidate: str | None = "good.jsonl", slices: str = "sums.slice.yaml") -> int:
    more = [] if candidate is None else ["--candidate", candidate]
    return main(["gate", "--reference", "fp16.jsonl", *more, "--report-json", "run.json", *arguments, slices])


def report() -> RunReport:
    return RunReport.from_json(Path("run.json").read_text())


def only_gate() -> GateResult:
    (found,) = report().gates
    return found


def test_a_candidate_within_its_limits_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate() == 0
    told = capsys.readouterr()
    assert "candidate good against reference fp16" in told.out
    assert told.err == ""
    found = only_gate()
    assert (found.slice, found.candidate, found.verdict) == ("sums", "good", Verdict.PASS)
    assert (found.statistics.counts.pp, found.statistics.counts.pf) == (39, 1)


def test_a_candidate_beyond_its_limits_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate(candidate="bad.jsonl") == 1
    assert "FAIL sums" in capsys.readouterr().out
    assert only_gate().verdict is Verdict.FAIL


def test_one_gate_that_fails_is_enough() -> None:
    assert gate("--candidate", "bad.jsonl") == 1
    assert [found.verdict for found in report().gates] == [Verdict.PASS, Verdict.FAIL]


def test_options_go_before_the_slice_file() -> None:
    assert gate("--max-pass-to-fail", "0.3", "--min-robustness", "0.5", candidate="bad.jsonl") == 0
    assert only_gate().policy.max_pass_to_fail == 0.3
    assert gate("--min-cases", "41", "--allow-underpowered") == 1
    assert only_gate().policy.min_cases == 41


def test_rule_evidence_asks_for_more_than_a_point() -> None:
    arguments = ("--max-pass-to-fail", "0.1", "--alpha", "0.1")
    assert gate(*arguments, candidate="close.jsonl") == 0
    assert gate(*arguments, "--rule", "evidence", candidate="close.jsonl") == 1
    found = only_gate()
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.evidence is not None
    assert found.evidence.alpha == report().settings.alpha == 0.1


def test_a_gate_that_cannot_decide_may_be_let_through() -> None:
    undecided = ("--rule", "evidence", "--max-pass-to-fail", "0.1")
    assert gate(*undecided, candidate="close.jsonl") == 1
    assert gate(*undecided, "--inconclusive", "pass", candidate="close.jsonl") == 0
    assert report().settings.inconclusive == "pass"
    write_answers(Path("bad.jsonl"), answers(range(30)))
    assert gate(*undecided, "--inconclusive", "pass", candidate="bad.jsonl") == 1
    assert only_gate().verdict is Verdict.FAIL


@pytest.mark.parametrize("side", ["fp16.jsonl", "good.jsonl"])
def test_a_case_without_an_answer_is_missing_and_never_let_through(
    side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(Path(side), answers()[1:])
    assert gate("--inconclusive", "pass") == 1
    assert f"warning: {side}: 1 of 40 cases of sums have no answer: c0\n" in capsys.readouterr().err
    found = only_gate()
    assert found.verdict is Verdict.INCONCLUSIVE
    assert any("1 of 40" in reason for reason in found.reasons)


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


def test_a_control_that_is_seen_is_told_beside_the_gates() -> None:
    write_answers(Path("broken.jsonl"), answers(range(CASES)))
    assert gate("--control", "broken.jsonl") == 0
    run = report()
    assert [(found.role, found.candidate, found.verdict) for found in run.controls] == [
        ("positive control", "broken", Verdict.FAIL),
        ("negative control", "fp16 (graded again)", Verdict.PASS),
    ]
    assert [variant.spec for variant in run.control_variants] == ["broken"]


def test_a_slice_that_does_not_see_a_control_gives_no_verdict() -> None:
    write_answers(Path("broken.jsonl"), answers())
    assert gate("--control", "broken.jsonl") == 1
    assert only_gate().verdict is Verdict.INCONCLUSIVE
    assert only_gate().blind == "broken"


def test_only_what_is_lost_beyond_the_noise_floor_is_judged() -> None:
    write_answers(Path("again.jsonl"), answers({0}))
    write_answers(Path("good.jsonl"), answers({0, 1, 2}))
    assert gate() == 1
    assert gate("--noise-floor", "again.jsonl") == 0
    found, run = only_gate(), report()
    assert found.floor is not None
    assert found.floor.pass_to_fail == 1
    assert run.floor_variant is not None
    assert run.floor_variant.spec == "again"
    assert [each.role for each in run.controls] == ["negative control"]


def test_a_noise_floor_that_lacks_a_case_gives_no_verdict() -> None:
    write_answers(Path("again.jsonl"), answers()[:-1])
    assert gate("--noise-floor", "again.jsonl") == 1
    assert only_gate().verdict is Verdict.INCONCLUSIVE
    assert any("noise floor: 1 of 40" in reason for reason in only_gate().reasons)


def test_the_report_says_honestly_where_answers_come_from() -> None:
    assert gate(candidate="int4=good.jsonl") == 0
    run = report()
    assert (run.model, run.device, run.compute_dtype) == ("recorded answers", "-", "-")
    assert run.command[:3] == ("quantgate", "gate", "--reference")
    (candidate,) = run.candidates
    digest = hashlib.sha256(Path("good.jsonl").read_bytes()).hexdigest()
    assert (candidate.spec, candidate.digest) == ("int4", digest)
    assert candidate.identity == {"file": "good.jsonl", "sha256": digest}
    assert (candidate.cached, candidate.generated) == (0, 0)


def test_degraded_cases_are_shown_with_both_answers(capsys: pytest.CaptureFixture[str]) -> None:
    write_answers(Path("bad.jsonl"), answers({7}))
    gate(candidate="bad.jsonl")
    out = capsys.readouterr().out
    assert "sums::c7[bad]  PASS→FAIL" in out
    assert all(text in out for text in ("prompt: Say 7.", "It is 7.", "none"))


def test_of_many_degraded_cases_a_few_are_shown_and_the_others_named(capsys: pytest.CaptureFixture[str]) -> None:
    gate(candidate="bad.jsonl")
    out = capsys.readouterr().out
    assert out.count("[bad]  PASS→FAIL") == 3
    assert "7 more of sums on bad: c3, c4, c5, c6, c7, c8, c9\n" in out


def test_the_report_is_shown_again_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    gate(candidate="bad.jsonl")
    shown = capsys.readouterr().out
    assert main(["report", "run.json"]) == 0
    again = capsys.readouterr().out
    assert shown.endswith(f"\n{again}")
    assert "pytest" not in shown  # nothing can be run again
    assert main(["report", "run.json", "--breakdown"]) == 0
    longer = capsys.readouterr().out
    assert gate("--breakdown", candidate="bad.jsonl") == 1
    assert capsys.readouterr().out.endswith(f"\n{longer}")
    assert len(longer) > len(again)


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


def test_several_slices_are_judged_each_by_its_own_answers() -> None:
    Path("more").mkdir()
    write_slice(Path("more"), "one", 30)
    write_slice(Path("more"), "two", 30)
    both = [{**line, "slice": name} for name in ("one", "two") for line in answers(cases=30)]
    write_answers(Path("fp16.jsonl"), both)
    write_answers(Path("good.jsonl"), [*both[:30], *({**line, "response": ""} for line in both[30:])])
    assert gate(slices="more") == 1
    assert [(found.slice, found.verdict) for found in report().gates] == [("one", Verdict.PASS), ("two", Verdict.FAIL)]


def test_a_suite_that_ships_is_judged_by_its_name() -> None:
    line = {"slice": "structured-other", "id": "none such", "response": ""}
    write_answers(Path("good.jsonl"), [line])
    assert main(["gate", "--reference", "fp16.jsonl", "--candidate", "good.jsonl", "--suite", "nothing"]) == 2
    assert main(["gate", "--reference", "good.jsonl", "--candidate", "x=good.jsonl", "--suite", "structured"]) == 1


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


def test_nobody_reading_the_report_turns_no_failure_into_a_pass() -> None:
    words = ["gate", "--reference", "fp16.jsonl", "--candidate", "bad.jsonl", "sums.slice.yaml"]
    command = [sys.executable, "-u", "-m", "pytest_quantgate.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_judging_imports_no_torch() -> None:
    code = (
        "import sys; from pytest_quantgate.cli import WIDEST, main; status = main(sys.argv[1:]); "
        "sys.exit(status or 'torch' in sys.modules or 'transformers' in sys.modules)"
    )
    words = ["gate", "--reference", "fp16.jsonl", "--candidate", "good.jsonl", "sums.slice.yaml"]
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)


@pytest.mark.skipif(not seccomp.supported(), reason="code cannot be confined on this system")
@pytest.mark.parametrize(("option", "unscored"), [(["--allow-code"], 0), ([], 2)])
def test_code_in_answers_runs_only_where_it_is_allowed(option: list[str], unscored: int) -> None:
    Path("code.slice.yaml").write_text(
        "slice: code\ngate: {min_cases: 1}\ncases:\n"
        "  - {id: a, prompt: p, checks: [{python_tests: 'assert f() == 1'}]}\n"
        "  - {id: b, prompt: p, checks: [{python_tests: 'assert f() == 1'}]}\n"
    )
    lines = [{"id": name, "response": "```python\ndef f():\n    return 1\n```"} for name in ("a", "b")]
    write_answers(Path("fp16.jsonl"), lines)
    write_answers(Path("good.jsonl"), lines)
    assert gate(*option, slices="code.slice.yaml") == bool(unscored)
    assert only_gate().statistics.unscored == unscored


def test_the_json_of_a_run_is_that_of_a_run_in_pytest() -> None:
    assert gate() == 0
    value = json.loads(Path("run.json").read_text())
    assert value["format"] == "pytest-quantgate run report"
    assert value["base_command"] == []
    assert value["cases"][0]["node_ids"] == {}


@pytest.mark.parametrize(
    ("limit", "said"),
    [("max_length_ratio: 1.5", {"tokens": 5}), ("max_truncation_increase: 0.1", {"finish_reason": "stop"})],
)
def test_a_limit_on_what_nobody_recorded_gives_no_verdict(limit: str, said: dict[str, Any]) -> None:
    write_slice(Path(), gate=f"{{min_cases: 20, {limit}}}")
    assert gate() == 1
    assert only_gate().verdict is Verdict.INCONCLUSIVE
    assert any(limit.partition(":")[0] in reason for reason in only_gate().reasons)
    write_answers(Path("fp16.jsonl"), answers(**said))
    write_answers(Path("good.jsonl"), answers({3}, **said))
    assert gate() == 0


@pytest.mark.parametrize("form", ["terminal", "markdown", "json"])
def test_two_recorded_runs_are_compared(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    gate()
    gate("--report-json", "other.json", candidate="bad.jsonl")
    capsys.readouterr()
    assert main(["compare", "run.json", "other.json", "--format", form]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "good" in told.out
    assert "bad" in told.out
