"""`quantgate gate`: what is judged of recorded answers, and how it is reported."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.checks.code import seccomp
from pytest_quantgate.cli import main
from pytest_quantgate.gate.model import Verdict
from tests.unit.cli.recorded import CASES, answers, gate, only_gate, report, write_answers, write_run, write_slice


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run()


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


@pytest.mark.parametrize("option", ["--noise-floor", "--control"])
def test_an_answer_that_is_missing_beside_the_candidates_is_never_let_through(option: str) -> None:
    write_answers(Path("beside.jsonl"), answers(range(CASES) if option == "--control" else ())[:10])
    assert gate(option, "beside.jsonl", "--inconclusive", "pass") == 1
    assert only_gate().verdict is Verdict.INCONCLUSIVE


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
        "import sys; from pytest_quantgate.cli import main; status = main(sys.argv[1:]); "
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
