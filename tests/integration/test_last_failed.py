"""--lf and --ff: failed cases run again, and a failed gate is judged again, by all cases of its slice."""

from __future__ import annotations

import json

import pytest

from tests.integration.conftest import Lab

BROKEN = "def test_a(): assert False\ndef test_b(): pass\n"
REPAIRED = "def test_a(): pass\ndef test_b(): pass\n"
TOLERANT = ("--quant-max-pass-to-fail", "0.5", "--quant-min-robustness", "0")
NF4_FAILED = "words.slice.yaml::gate[nf4]"


def last_failed(lab: Lab) -> set[str]:
    return set(json.loads((lab.pytester.path / ".pytest_cache/v/cache/lastfailed").read_text()))


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return {name: count for name, count in result.parseoutcomes().items() if name not in ("warning", "warnings")}


def remembered(lab: Lab, failures: str) -> list[str]:
    """The line that tells what --lf remembers, which workers do not show."""
    return [] if lab.way == "n2" else [f"run-last-failure: rerun previous {failures}*"]


@pytest.fixture
def failed(lab: Lab) -> Lab:
    """A gate, a case of another slice and an ordinary test have failed."""
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    lab.write("others", lab.many(3))
    lab.pytester.makepyfile(test_ordinary=BROKEN)

    def fail() -> None:
        assert outcomes(lab.run()) == {"passed": 7, "failed": 2, "degraded": 1}

    lab.once("failed", fail)
    assert last_failed(lab) == {"test_ordinary.py::test_a", NF4_FAILED}
    return lab


@pytest.mark.parametrize("file", ["aaa", "test_ordinary", "zzz"])
def test_a_failed_gate_is_judged_again_beside_other_failures(lab: Lab, file: str) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0, file=f"{file}.slice.yaml")
    lab.pytester.makepyfile(test_ordinary=BROKEN)
    lab.run()
    lab.pytester.makepyfile(test_ordinary=REPAIRED)
    result = lab.run("--lf")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([*remembered(lab, "2 failures"), f"FAILED {file}*gate*"])
    counted = outcomes(result)
    counted.pop("deselected", None)  # where the slice was collected first, test_b is deselected, else dropped
    assert counted == {"passed": 3, "failed": 1, "degraded": 1}
    assert last_failed(lab) == {f"{file}.slice.yaml::gate[nf4]"}


def test_a_slice_without_failures_is_left_out(failed: Lab) -> None:
    result = failed.run("--lf", "-v")
    result.stdout.no_fnmatch_line("*others*")


def test_a_gate_that_failed_alone_runs_its_slice_alone(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    lab.pytester.makepyfile("def test_one(): pass")
    lab.run()
    result = lab.run("--lf")
    result.stdout.fnmatch_lines([*remembered(lab, "1 failure"), "FAILED *"])
    assert outcomes(result) == {"passed": 2, "failed": 1, "degraded": 1, "deselected": 1}


def test_only_the_candidate_whose_gate_failed_runs_again(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    lab.run(candidates=("fp32", "nf4"))
    assert last_failed(lab) == {NF4_FAILED}
    result = lab.run("--lf", candidates=("fp32", "nf4"))
    assert outcomes(result) == {"passed": 2, "failed": 1, "degraded": 1, "deselected": 3}


def test_cases_that_failed_too_do_not_make_the_gate_partial(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    lab.run("--quant-strict")
    result = lab.run("--quant-strict", "--lf")
    assert outcomes(result) == {"passed": 2, "failed": 2}


def test_where_only_a_case_failed_it_runs_alone(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.5, min_robustness=0.0)
    lab.run("--quant-strict")
    result = lab.run("--quant-strict", "--lf")
    assert outcomes(result) == {"failed": 1, "skipped": 1}


def test_failed_first_runs_the_slice_first(failed: Lab) -> None:
    result = failed.run("--ff", "-v")
    names = [
        line.split()[0] for line in result.outlines if line.startswith(("words", "others", "test_")) and "::" in line
    ]
    assert names[:4] == [
        "test_ordinary.py::test_a",
        *(f"words.slice.yaml::case-{number}[nf4]" for number in range(3)),
    ]
    assert outcomes(result) == {"passed": 7, "failed": 2, "degraded": 1}


def test_a_gate_that_passes_is_forgotten(failed: Lab) -> None:
    failed.run(*TOLERANT)
    assert last_failed(failed) == {"test_ordinary.py::test_a"}


@pytest.mark.parametrize("arguments", [("-k", "case-1"), ("words.slice.yaml::case-1",), ("--lf", "-k", "case-1")])
def test_a_gate_that_a_part_of_its_slice_could_not_judge_is_kept(failed: Lab, arguments: tuple[str, ...]) -> None:
    failed.run(*arguments)
    assert NF4_FAILED in last_failed(failed)


def test_a_slice_that_was_not_collected_is_no_candidate_without_slices(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makepyfile(test_ordinary=BROKEN)
    lab.run()
    lab.pytester.makepyfile(test_ordinary=REPAIRED)
    result = lab.run("--lf")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*no slice was found*")
