"""--quant-stop-early: the same verdict of every case and gate, by shorter answers, and only where that is enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab, Tiny

MODEL = Path(__file__).parents[2] / "fixtures" / "tiny_instruct"
REPORT = "--quant-report-json=run.json"
EARLY = "--quant-stop-early"
TOKENS = 40


def report_of(folder: Path) -> RunReport:
    return RunReport.from_json((folder / "run.json").read_text(encoding="utf-8"))


def verdicts(report: RunReport) -> dict[str, object]:
    """All that gates and checks say, without the answers."""
    cases = {
        (record.slice, record.case.id, spec): (
            outcome.passed,
            outcome.unscored,
            [(each.check, each.followed) for each in outcome.results],
        )
        for record in report.cases
        for spec, outcome in record.outcomes.items()
    }
    gates = [(gate.slice, gate.candidate, gate.verdict, gate.statistics) for gate in report.gates]
    return {"cases": cases, "gates": gates}


def lengths(report: RunReport) -> dict[str, list[int]]:
    """Tokens of each answer, by why it ended."""
    found: dict[str, list[int]] = {}
    for record in report.cases:
        for outcome in record.outcomes.values():
            found.setdefault(outcome.completion.finish_reason, []).append(len(outcome.completion.token_ids))
    return found


def long_slice(lab: Lab, **gate: Any) -> Path:
    """Cases that are decided at once, late and never."""
    checks: list[Any] = [
        {"word_count": {"min": 3}},
        {"word_count": {"max": 3}},
        {"exact": "what no model of made-up words will say"},
        {"contains": {"none": "what no model says"}},
        "comply",
        {"regex": "[a-z]+"},
    ]
    cases = [{**lab.preserved(f"case-{at}"), "checks": [check]} for at, check in enumerate(checks)]
    both = {**lab.preserved("both"), "checks": [{"word_count": {"min": 3}}, {"exact": "no"}]}
    half = {**lab.preserved("half"), "checks": [{"word_count": {"min": 3}}, {"number": 12}]}
    return lab.write("words", [{**case, "max_new_tokens": TOKENS} for case in [*cases, both, half]], **gate)


def test_the_shipped_slices_get_the_same_verdicts(
    pytester: pytest.Pytester, tiny: Tiny, cache_folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny.folder.is_dir()  # the laboratory's model has loaded bitsandbytes, see test_tiny_instruct.py
    found = []
    for folder, more in ((empty_cache, [EARLY]), (cache_folder, [])):  # where whole answers are, these would be used
        monkeypatch.setenv(CACHE_VARIABLE, str(folder))
        slices = MODEL / "slices"
        words = [f"--rootdir={slices}", f"--quant-model={MODEL / 'model'}", REPORT, "-p", "no:cacheprovider"]
        pytester.runpytest_inprocess(str(slices), *words, "--quant-cand=nf4,ruin:2bit", *more)
        found.append(report_of(pytester.path))
    assert verdicts(found[0]) == verdicts(found[1])
    assert lengths(found[0])["decided"]
    assert "decided" not in lengths(found[1])


def test_answers_stop_and_nothing_else_changes(lab: Lab, empty_cache: Path) -> None:
    long_slice(lab, max_pass_to_fail=1.0)
    early = lab.run(REPORT, EARLY)
    stopped = report_of(lab.pytester.path)
    early.stdout.fnmatch_lines(["quantgate: answers stop when decided"])
    whole = lab.run(REPORT)
    assert empty_cache.exists()
    assert early.ret == whole.ret
    assert verdicts(stopped) == verdicts(report_of(lab.pytester.path))
    assert max(lengths(stopped)["decided"]) < TOKENS
    ends = {record.case.id: record.outcomes["nf4"].completion.finish_reason for record in stopped.cases}
    assert [name for name, reason in ends.items() if reason == "decided"] == [
        *("case-0", "case-1", "case-2", "case-5", "both")
    ]
    again = lab.run(REPORT, EARLY)
    again.stdout.no_fnmatch_line("*to answer*")
    assert "decided" not in lengths(report_of(lab.pytester.path))  # the whole answers are there by now


def test_fidelity_is_measured_along_what_was_written(lab: Lab, empty_cache: Path) -> None:
    long_slice(lab, max_pass_to_fail=1.0)
    lab.run(REPORT, EARLY, "--quant-fidelity")
    assert empty_cache.exists()
    for record in report_of(lab.pytester.path).cases:
        measured = record.outcomes["nf4"].completion.fidelity
        assert measured is not None
        assert measured.tokens <= len(record.outcomes["fp16"].completion.token_ids) + 1


@pytest.mark.parametrize(
    "limit",
    [
        *("max_refusal_drift", "max_over_refusal_increase", "max_format_retry_increase", "max_truncation_increase"),
        *("max_loop_increase", "max_length_ratio", "min_grader_agreement"),
    ],
)
@pytest.mark.alone(reason="it is decided before anything is distributed")
def test_a_gate_that_reads_answers_gets_whole_ones(lab: Lab, limit: str) -> None:
    gate: dict[str, Any] = {limit: 1.0}
    lab.write("words", [{**lab.preserved("one"), "checks": ["json", "comply"]}], **gate)
    result = lab.run(EARLY, "--quant-dry-run")
    result.stdout.fnmatch_lines([f"  words: whole answers: its gate has {limit}"])


def test_such_a_slice_is_answered_whole(lab: Lab, empty_cache: Path) -> None:
    long_slice(lab, max_loop_increase=1.0)
    lab.run(REPORT, EARLY)
    assert empty_cache.exists()
    assert "decided" not in lengths(report_of(lab.pytester.path))


@pytest.mark.alone(reason="a dry run starts no workers")
def test_the_dry_run_says_how_many_may_stop_and_counts_stopped_answers(lab: Lab, empty_cache: Path) -> None:
    long_slice(lab, max_pass_to_fail=1.0)
    lab.run(EARLY)
    assert empty_cache.exists()
    result = lab.run(EARLY, "--quant-dry-run")
    result.stdout.fnmatch_lines(["  words * 8 * 8 * 8", "  words: 6 of 8 cases may stop early"])
    whole = lab.run("--quant-dry-run")
    whole.stdout.no_fnmatch_line("*may stop early")
    whole.stdout.fnmatch_lines(["  words * 8 * 3 * 3"])


def test_a_slice_with_a_golden_is_answered_whole(anchored: Lab) -> None:
    result = anchored.run(REPORT, EARLY)
    assert result.ret == pytest.ExitCode.OK
    assert "decided" not in lengths(report_of(anchored.pytester.path))
    dry = anchored.run(EARLY, "--quant-dry-run")
    dry.stdout.fnmatch_lines(["  words: whole answers: it is compared with a golden"])


def test_a_python_test_sees_whole_answers(lab: Lab) -> None:
    path = long_slice(lab, max_pass_to_fail=1.0)
    lab.pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.quant_slice({path.name!r})
        def test_words(quant_case):
            assert quant_case.candidate.completion.finish_reason in ("stop", "length")
        """
    )
    result = lab.run(EARLY)
    result.assert_outcomes(passed=17)


@pytest.mark.parametrize("other", ["--quant-diagnose", "--quant-reanchor=new"])
@pytest.mark.alone(reason="options are refused before anything is distributed")
def test_what_needs_whole_answers_is_refused_beside_it(lab: Lab, other: str) -> None:
    result = lab.run(EARLY, other)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    option = other.partition("=")[0]
    result.stderr.fnmatch_lines([f"ERROR: {EARLY} and {option}: *whole answers: leave one out"])


@pytest.mark.usefixtures("at_home")
def test_the_ini_key_gives_way_to_re_anchoring(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeini("[pytest]\nquant_stop_early = true")
    assert lab.run("--quant-reanchor=new").ret == pytest.ExitCode.OK
    lines = (lab.pytester.path / "golden" / "words" / "nf4.jsonl").read_text(encoding="utf-8").splitlines()
    assert not any('"decided"' in line for line in lines)
    assert json.loads(lines[0])


def test_a_check_of_a_conftest_stops_answers(lab: Lab, empty_cache: Path) -> None:
    lab.pytester.makeconftest(
        """
        from pytest_quantgate.checks.finding import followed

        def anything(answer):
            return followed("anything goes")

        def pytest_quantgate_register_checks(registry):
            registry.register("mine:anything", anything, decided=lambda so_far: True)
        """
    )
    case = {"id": "one", "prompt": next(lab.tiny.prompts()), "checks": ["mine:anything"], "max_new_tokens": TOKENS}
    lab.write("words", [case])
    assert lab.run(REPORT, EARLY).ret == pytest.ExitCode.OK
    assert empty_cache.exists()
    assert lengths(report_of(lab.pytester.path)) == {"decided": [4, 4]}
