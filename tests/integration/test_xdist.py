"""-n: answers are made once, workers grade, and everything else is as without it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # the project's own output

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.alone(reason="these tests name workers themselves")
started = pytest.mark.usefixtures("started_workers")

WORKERS = ("-n", "2")


@pytest.fixture(autouse=True)
def _workers(request: pytest.FixtureRequest) -> None:
    """Workers are forked, but where they must come as users get them."""
    if "started_workers" not in request.fixturenames:
        request.getfixturevalue("forked_workers")


def run_report(lab: Lab) -> dict[str, Any]:
    """What a run reported, but for when and how it was started, and what it found in the cache."""
    value: dict[str, Any] = json.loads((lab.pytester.path / "run.json").read_text())
    for variant in (value["reference"], *value["candidates"], *value["control_variants"], value["floor_variant"]):
        if variant is not None:
            variant["cached"] += variant.pop("generated")
    return {key: each for key, each in value.items() if key not in {"created", "command"}}


def junit(lab: Lab) -> list[object]:
    """What JUnit XML says of each test, in any order."""
    tree = ET.parse(lab.pytester.path / "junit.xml")  # noqa: S314
    cases = []
    for case in tree.iter("testcase"):
        inside = sorted((each.tag, sorted(each.attrib.items()), (each.text or "").strip()) for each in case.iter())
        cases.append((case.get("classname"), case.get("name"), [each for each in inside if each[0] != "testcase"]))
    return sorted(cases, key=repr)


def counts(result: pytest.RunResult) -> list[str]:
    """The numbers of the last line, in any order, without the time."""
    found = re.findall(r"=+ (.+) in [\d.:s() ]+ =+", result.stdout.lines[-1] or result.stdout.lines[-2])
    return sorted(found[0].split(", "))


def assert_same(lab: Lab, *arguments: str, **more: Any) -> pytest.RunResult:
    """Run without and with workers; everything that is told must be the same."""
    files = ("--quant-report-json=run.json", "--junitxml=junit.xml")
    seen = []
    for words in ((), WORKERS):
        result = lab.run(*words, *arguments, *files, **more)
        seen.append((result.ret, run_report(lab), junit(lab), counts(result)))
    for alone, distributed in zip(*seen, strict=True):
        assert alone == distributed
    return result


@started
def test_verdicts_status_junit_and_report_are_those_without_workers(lab: Lab) -> None:
    cases = [*lab.many(6, degraded=2), lab.improved("better"), lab.unscored("long"), lab.failing("hard")]
    lab.write("words", cases, max_pass_to_fail=0.1)
    lab.write("others", lab.many(4))
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("others.slice.yaml")
        def test_others(quant_case):
            quant_case.assert_not_degraded()

        def test_plain():
            pass

        def test_broken():
            assert False
        """
    )
    result = assert_same(lab, candidates=("nf4", "fp32"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_degraded_cases_fail_as_without_workers(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.5)
    result = assert_same(lab, "--quant-strict")
    result.stdout.fnmatch_lines(["FAILED words.slice.yaml::case-2[[]nf4[]] - degraded: exact: *"])


def test_turns_and_recall(lab: Lab) -> None:
    asked = [{"prompt": text, "checks": [{"word_count": {"max": 50}}]} for text in ("kol tul", "and now")]
    recalled = lab.preserved("recalled")
    recalled["checks"].append({"recall": "kol"})
    lab.write("words", [*lab.many(2), {"id": "turns", "turns": asked}, recalled])
    assert_same(lab)


def test_controls_and_a_noise_floor(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=1), max_pass_to_fail=0.5, min_robustness=0)
    assert_same(lab, "--quant-control", "ruin:2bit", "--quant-noise-floor")


def test_a_sequential_run_asks_and_skips_the_same_cases(lab: Lab) -> None:
    lab.write("words", lab.many(30), rule="evidence", max_pass_to_fail=0.5, min_robustness=0.1, min_cases=5)
    assert_same(lab, "--quant-sequential", "--quant-allow-underpowered", "-rs")


@started
def test_a_check_of_a_conftest_file_that_the_controller_did_not_load(lab: Lab) -> None:
    mine = lab.preserved("mine")
    mine["checks"].append({"whispers": {}})
    file = lab.write("words", [*lab.many(2), mine], file="deep/quant/words.slice.yaml")
    file.with_name("conftest.py").write_text(
        "from pytest_quantgate.checks.finding import Finding\n"
        "\n"
        "def whispers(answer: str) -> Finding:\n"
        "    return Finding(answer.islower(), 'looked for loud words')\n"
        "\n"
        "def pytest_quantgate_register_checks(registry):\n"
        "    registry.register('whispers', whispers)\n"
    )
    assert_same(lab, "--quant-control", "ruin:2bit")


@pytest.mark.parametrize(
    "arguments",
    [("-k", "case-1"), ("words.slice.yaml::case-0[nf4]",), ("words.slice.yaml::gate[nf4]",), ("--quant-slice=others",)],
    ids=["-k", "node id", "gate", "slice"],
)
def test_a_selection(lab: Lab, arguments: tuple[str, ...]) -> None:
    lab.write("words", lab.many(3, degraded=1))
    lab.write("others", lab.many(3))
    assert_same(lab, *arguments)


def test_goldens_are_those_without_workers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    lab.write("words", [*lab.many(3), lab.improved("better"), lab.unscored("long")], max_unscored=1)
    folder = lab.pytester.path / "golden" / "words"
    seen = []
    for words in ((), WORKERS):
        assert lab.run(*words, "--quant-reanchor=new").ret == pytest.ExitCode.OK
        goldens = {each.name: each.read_bytes() for each in folder.iterdir()}
        assert set(goldens) == {"fp16.jsonl", "nf4.jsonl"}
        for name in goldens:
            (folder / name).unlink()
        seen.append(goldens)
    assert seen[0] == seen[1]


def test_other_plugins_can_look_at_what_was_deselected(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    result = lab.run(*WORKERS, "-p", "_hypothesis_pytestplugin", "-k", "case-1")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=1, deselected=2)


@started
@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_worker_that_dies_loses_its_case_and_nothing_else(lab: Lab, end: str) -> None:
    lab.write("words", lab.many(6), max_pass_to_fail=0.9, min_robustness=0)
    lab.write("others", lab.many(3))
    lab.pytester.makeconftest(
        f"""
        import os

        def pytest_runtest_call(item):
            if item.nodeid == "words.slice.yaml::case-2[nf4]":
                {end}
        """
    )
    result = lab.run(*WORKERS, "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*FAILED words.slice.yaml::gate[[]nf4[]] - INCONCLUSIVE: *1 of 6*", "*2 failed, 9 passed in *"]
    )
    report = run_report(lab)
    assert {gate["slice"]: gate["verdict"] for gate in report["gates"]} == {"words": "INCONCLUSIVE", "others": "PASS"}
    missing = [each["case"]["id"] for each in report["cases"] if not each["outcomes"]]
    assert missing == ["case-2"]


@started
def test_no_gate_passes_when_no_worker_is_left(lab: Lab) -> None:
    lab.write("words", lab.many(4))
    lab.pytester.makeconftest("import os\n\ndef pytest_runtest_call(item):\n    os._exit(3)\n")
    result = lab.run(*WORKERS, "--max-worker-restart=0", "--quant-report-json=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [gate["verdict"] for gate in run_report(lab)["gates"]] == ["INCONCLUSIVE"]


@pytest.mark.parametrize("dist", ["loadfile", "loadscope", "worksteal", "each"])
def test_ways_to_distribute(lab: Lab, dist: str) -> None:
    lab.write("words", lab.many(5, degraded=1), max_pass_to_fail=0.5, min_robustness=0)
    alone = lab.run("--quant-report-json=run.json").ret, run_report(lab)
    assert (lab.run(*WORKERS, "--dist", dist, "--quant-report-json=run.json").ret, run_report(lab)) == alone


def test_groups_of_tests(lab: Lab) -> None:
    lab.write("words", lab.many(4, degraded=2))
    lab.pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xdist_group("all"))
        """
    )
    alone = lab.run("--quant-report-json=run.json").ret, run_report(lab)
    assert (lab.run(*WORKERS, "--dist", "loadgroup", "--quant-report-json=run.json").ret, run_report(lab)) == alone
    again = lab.run("--quant-only=degraded")  # what the run in groups remembers
    again.stdout.fnmatch_lines(["*2 deselected, 2 degraded*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quant-slice", "word"), "ERROR: --quant-slice word: no such slice: did you mean*"),
        (("nowhere",), "ERROR: file or directory not found: nowhere*"),
        (("words.slice.yaml::nobody",), "*not found: *nobody*"),
        (("--quant-suite", "core", "core/nothing.slice.yaml"), "ERROR: not found: core/nothing.slice.yaml*"),
        (("--quant-min-cases", "50"), "ERROR: words.slice.yaml:*50*"),
        (("--quant-cand", "nf5"), "ERROR: --quant-cand: variant 'nf5'*"),
    ],
)
def test_what_cannot_be_right_is_told_as_without_workers(lab: Lab, arguments: tuple[str, ...], message: str) -> None:
    lab.write("words", lab.many(2))
    for words in ((), WORKERS):
        result = lab.run(*words, *arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message])
        for lines in (result.stdout, result.stderr):
            lines.no_fnmatch_line("*Traceback*")
            lines.no_fnmatch_line("*node down*")


def test_a_plugin_that_fails_is_told_as_without_workers(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makeconftest("def pytest_quantgate_register_checks(registry): raise RuntimeError('no')")
    result = lab.run(*WORKERS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *conftest.py:1: pytest_quantgate_register_checks failed: RuntimeError: no"])


def test_errors_during_collection_stop_the_run(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makepyfile("import nothing_of_that_name")
    for words in ((), WORKERS):
        result = lab.run(*words)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(["*Interrupted: 1 error during collection*"])
        result.stdout.no_fnmatch_line("*answers*")


def test_the_first_failure_ends_the_run_with_the_same_status(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makepyfile("def test_broken(): assert False")
    for words in ((), WORKERS):
        assert lab.run(*words, "-x").ret == pytest.ExitCode.TESTS_FAILED
    result = lab.run(*WORKERS, "--maxfail=1", "-rf")
    result.stdout.fnmatch_lines(["FAILED *test_broken*"])


def test_failed_gates_are_judged_again(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0)
    lab.write("others", lab.many(2))
    assert lab.run(*WORKERS).ret == pytest.ExitCode.TESTS_FAILED
    result = lab.run(*WORKERS, "--lf", "--quant-max-pass-to-fail=1", "--quant-min-robustness=0")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*3 passed, 2 deselected, 1 degraded*"])
    result = lab.run(*WORKERS, "--ff")
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@started
def test_a_ctrl_c_in_a_worker_gives_no_verdict(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeconftest("def pytest_runtest_setup(item):\n    raise KeyboardInterrupt\n")
    result = lab.run(*WORKERS)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*::gate*")


@started
def test_workers_import_no_torch_and_nothing_is_left_behind(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab.write("words", lab.many(4, degraded=1))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    lab.pytester.makeconftest(
        """
        import sys

        def pytest_sessionfinish(session):
            if hasattr(session.config, "workerinput"):
                name = session.config.workerinput["workerid"]
                found = sorted({"torch", "transformers", "bitsandbytes"}.intersection(sys.modules))
                (session.config.rootpath / f"{name}.txt").write_text(" ".join(found))
        """
    )
    lab.run(*WORKERS)
    told = {file.name: file.read_text() for file in lab.pytester.path.glob("gw*.txt")}
    assert told == {"gw0.txt": "", "gw1.txt": ""}
    assert not list(tmp_path.glob("quantgate-*"))


def test_a_full_temporary_folder_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(2))
    monkeypatch.setattr("pytest_quantgate.plugin.handover.CompletionCache.put", lambda *_: None)
    result = lab.run(*WORKERS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the answers cannot be handed to the workers in *", "*TMPDIR*"])


def test_a_worker_that_cannot_tell_what_it_collected_is_told(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makeconftest(
        """
        import os, resource

        def pytest_collection_modifyitems():
            if "PYTEST_XDIST_WORKER" in os.environ:  # as on a disk that is nearly full: the rest of a file is lost
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        """
    )
    result = lab.run(*WORKERS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: worker gw? could not tell what it collected: *", "*TMPDIR*"])


@pytest.mark.parametrize("tx", ["ssh=somebody@nowhere", "2*socket=127.0.0.1:8888", "popen//chdir=elsewhere"])
def test_workers_elsewhere_are_refused(lab: Lab, tx: str) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--dist=load", "--tx", tx)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --tx {tx}: with --quant-cand workers are processes of this machine*"])


@pytest.mark.parametrize(
    ("argument", "line"),
    [("--collect-only", "*<CaseItem case-0*>"), ("--quant-dry-run", "*dry run: no problem found*")],
)
def test_no_workers_are_started_where_nothing_runs(lab: Lab, argument: str, line: str) -> None:
    lab.write("words", lab.many(2))
    result = lab.run(*WORKERS, argument)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([line])
    result.stdout.no_fnmatch_line("created: *")


def test_sessions_without_a_candidate_are_left_alone(lab: Lab) -> None:
    lab.pytester.makepyfile("def test_one(): pass")
    lab.run_pytest(*WORKERS).assert_outcomes(passed=1)


def test_no_slices(lab: Lab) -> None:
    for words in ((), WORKERS):
        result = lab.run(*words)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        result.stdout.fnmatch_lines(["*no slice was found*"])
