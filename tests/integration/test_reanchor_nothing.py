"""--quant-reanchor: when nothing is written, because nothing may be, or because it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.golden import store
from tests.integration.conftest import Lab
from tests.integration.goldens import contents, edit, golden_file, record_of, report_of, violated

pytestmark = pytest.mark.usefixtures("at_home")

REPORT = "--quant-report-json=run.json"
TOLERANT = ("--quant-max-pass-to-fail=1", "--quant-min-robustness=0")


def test_drift_that_is_not_to_be_anchored_fails_as_ever(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    before = contents(anchored)
    result = anchored.run("--quant-reanchor=new,unused")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: nothing was anchored: the run failed"])
    assert contents(anchored) == before


def test_where_nothing_changed_nothing_is_written(anchored: Lab) -> None:
    before = contents(anchored)
    result = anchored.run("--quant-reanchor=new,drifted,expired,unused")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: nothing to anchor"])
    assert contents(anchored) == before


def test_a_degraded_case_is_refused_and_nothing_is_written(lab: Lab) -> None:
    lab.write("words", [*lab.many(2), lab.degraded("worse"), lab.degraded("it's bad")])
    result = lab.run("--quant-reanchor=new", *TOLERANT, REPORT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "quantgate: nothing was anchored: 2 degraded cases would be*",
            "    --quant-accept 'words::worse[[]nf4[]]=REASON'",
            """    --quant-accept 'words::it'"'"'s bad[[]nf4[]]=REASON'""",
        ]
    )
    assert contents(lab) == {}
    assert report_of(lab).goldens == ()


# --- refused at the start


def refused(lab: Lab, *arguments: str, told: str) -> None:
    """The run is refused before anything is generated, and leaves the goldens alone."""
    before = contents(lab)
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    result.stdout.no_fnmatch_line("fp16: *")
    assert contents(lab) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--quant-reanchor=drifed",),
            "--quant-reanchor drifed: 'drifed' is nothing to anchor: did you mean 'drifted'?",
        ),
        (("--quant-reanchor=new,",), "--quant-reanchor new,: '' is nothing to anchor: known: all, drifted, *"),
        (
            ("--quant-reanchor=review,new",),
            "--quant-reanchor review,new: review asks about every change: give it alone",
        ),
        (("--quant-reanchor=",), "--quant-reanchor is empty*"),
        (("--quant-accept=a=b",), "--quant-accept goes with --quant-reanchor: *"),
        (
            ("--quant-reanchor=new", "--quant-accept=case-0"),
            "--quant-accept case-0: write SLICE::CASE[[]SPEC[]]=REASON",
        ),
        (("--quant-reanchor=new", "--quant-accept=case-0= "), "--quant-accept case-0=: write *"),
        (
            ("--quant-reanchor=new", "--quant-accept=words::caze-0[nf4]=x"),
            "--quant-accept words::caze-0[[]nf4[]]=x: no such case: did you mean 'words::case-0[[]nf4[]]'?",
        ),
        (("--quant-reanchor=review",), "--quant-reanchor review needs a terminal*"),
        (("--quant-reanchor=new", "-k", "case-1"), "words.slice.yaml:*: --quant-reanchor with 1 of 3 cases of slice *"),
        (("--quant-reanchor=new", "words.slice.yaml::case-1"), "words.slice.yaml:*: *with 1 of 3 cases*"),
        (
            ("--quant-reanchor=new", "--quant-sequential", "--quant-rule=evidence", "--quant-allow-underpowered"),
            "--quant-reanchor with --quant-sequential: *",
        ),
        (("--quant-reanchor=new", "-k", "case-1", "--quant-dry-run"), "words.slice.yaml:*: *with 1 of 3 cases*"),
    ],
)
def test_what_cannot_be_anchored_is_refused_before_anything_is_generated(
    anchored: Lab, arguments: tuple[str, ...], told: str
) -> None:
    refused(anchored, *arguments, told=told)


@pytest.mark.parametrize("value", ["true", "1", "woodpecker"])
def test_nothing_is_anchored_in_ci(anchored: Lab, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    edit(anchored, "case-1", violated)
    refused(anchored, "--quant-reanchor=all", told=f"--quant-reanchor: CI={value} is set in the environment*")


def test_a_name_of_several_cases_is_refused_with_all_of_them(anchored: Lab) -> None:
    before = contents(anchored)
    result = anchored.run("--quant-reanchor=new", "--quant-accept=case-0=x", candidates=("nf4", "int8"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --quant-accept case-0=x: these are several cases: words::case-0[[]nf4[]], words::case-0[[]int8[]]"]
    )
    assert contents(anchored) == before


# --- refused at the end


@pytest.mark.parametrize(
    ("test", "arguments", "told"),
    [
        ("def test_other(): assert False", (), "the run failed"),
        ("def test_other(): assert False", ("-x",), "the run failed"),
        ("import no_such_module", ("--continue-on-collection-errors",), "the run failed"),
        ("def test_other(request): request.session.shouldstop = 'enough'", (), "the run was interrupted"),
        (
            "import pytest\n@pytest.fixture(scope='session')\ndef late():\n yield\n assert 0\ndef test_it(late): ...",
            (),
            "the run failed",
        ),
    ],
)
def test_a_run_that_did_not_end_well_writes_nothing(
    anchored: Lab, test: str, arguments: tuple[str, ...], told: str
) -> None:
    edit(anchored, "case-1", violated)
    before = contents(anchored)
    anchored.pytester.makepyfile(zzz_test=test)
    result = anchored.run("--quant-reanchor=all", REPORT, *arguments)
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    result.stdout.fnmatch_lines([f"quantgate: nothing was anchored: {told}"])
    assert contents(anchored) == before
    assert Verdict.FAIL in {drift.verdict for drift in report_of(anchored).drifts}


def test_an_interrupt_writes_nothing(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeconftest(
        """
        def pytest_runtest_setup(item):
            if item.name == "case-1[nf4]":
                raise KeyboardInterrupt
        """
    )
    result = lab.run("--quant-reanchor=new")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["quantgate: nothing was anchored: the run did not come to its end"])
    assert contents(lab) == {}


@pytest.mark.parametrize("accept", [(), ("--quant-accept=case-1=it is known",)])
def test_a_skipped_case_makes_the_run_partial_and_nothing_is_written(lab: Lab, accept: tuple[str, ...]) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeconftest(
        """
        import pytest

        def pytest_runtest_setup(item):
            if item.name == "case-1[nf4]":
                pytest.skip("not today")
        """
    )
    result = lab.run("--quant-reanchor=new", *accept)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    told = "quantgate: nothing was anchored: 1 case was skipped, and only whole slices are anchored"
    result.stdout.fnmatch_lines(["*INCONCLUSIVE words", told])
    assert contents(lab) == {}


def test_a_gate_that_fails_writes_nothing(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    result = lab.run("--quant-reanchor=new", "--quant-accept=case-2=known")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: nothing was anchored: the run failed"])
    assert contents(lab) == {}


def test_a_gate_that_cannot_decide_writes_nothing_unless_the_user_lets_it_pass(lab: Lab) -> None:
    lab.write("words", lab.many(3), min_cases=30)
    arguments = ("--quant-reanchor=new", "--quant-allow-underpowered")
    assert lab.run(*arguments).ret == pytest.ExitCode.TESTS_FAILED
    assert contents(lab) == {}
    assert lab.run(*arguments, "--quant-inconclusive=pass").ret == pytest.ExitCode.OK
    assert set(contents(lab)) == {"words/fp16.jsonl", "words/nf4.jsonl"}


def test_trouble_with_one_candidate_writes_nothing(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.run("--quant-reanchor=new", "--quant-inconclusive=pass", candidates=("nf4:skip=no_such_module", "nf4"))
    assert contents(lab) == {}


# --- faults


def test_two_runs_at_once_do_not_overwrite_each_other(anchored: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(anchored, "case-1", violated)
    theirs = golden_file(anchored).read_bytes().replace(b"something else", b"what the other run wrote")
    real = store.write

    def late(golden: Any, **more: Any) -> None:
        if golden.variant == "nf4":
            golden.path.write_bytes(theirs)
        real(golden, **more)

    monkeypatch.setattr(store, "write", late)
    result = anchored.run("--quant-reanchor=all", REPORT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "quantgate: re-anchoring failed: golden/words/nf4.jsonl: *changed since this run read it*",
            "  written before: golden/words/fp16.jsonl",
            "  not written: golden/words/nf4.jsonl",
        ]
    )
    assert golden_file(anchored).read_bytes() == theirs
    report = report_of(anchored)
    assert record_of(report, "fp16").written
    assert not record_of(report).written
    assert report.verdict is Verdict.FAIL


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_goldens(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    (lab.pytester.path / "golden").write_text("a file stands in the way")
    result = lab.run("--quant-reanchor=new", REPORT, "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["candidate nf4 against reference fp16*", "quantgate: re-anchoring failed: golden/words/fp16.jsonl: *"]
    )
    assert report_of(lab).gates[0].verdict is Verdict.PASS
    assert (lab.pytester.path / "junit.xml").exists()


def test_a_full_disk_leaves_what_was_there(anchored: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise QuantgateError("the golden cannot be written: No space left on device", where="golden/words/fp16.jsonl")

    edit(anchored, "case-1", violated)
    before = contents(anchored)
    monkeypatch.setattr(store, "write", full)
    result = anchored.run("--quant-reanchor=all", REPORT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: re-anchoring failed: *No space left on device", "  not written: *"])
    assert contents(anchored) == before
    assert report_of(anchored).gates
