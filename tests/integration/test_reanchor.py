"""--quant-reanchor and --quant-accept: what is written, what is refused, and what is said."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.golden import store
from tests.integration.conftest import Lab
from tests.integration.goldens import edit, golden_file, record_of, report_of, reworded, rows, states, violated

REPORT = "--quant-report-json=run.json"
TOLERANT = ("--quant-max-pass-to-fail=1", "--quant-min-robustness=0")


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("LOGNAME", "ana")


@pytest.fixture
def anchored(lab: Lab) -> Lab:
    """Three cases, anchored on fp16 and nf4."""
    lab.write("words", lab.many(3))
    assert lab.run("--quant-reanchor=new").ret == pytest.ExitCode.OK
    return lab


def contents(lab: Lab) -> dict[str, bytes]:
    """Everything below the folders of goldens."""
    folder = lab.pytester.path / "golden"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(lab: Lab, *arguments: str, told: str) -> None:
    """The run is refused before anything is generated, and leaves the goldens alone."""
    before = contents(lab)
    result = lab.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {told}"])
    result.stdout.no_fnmatch_line("fp16: *")
    assert contents(lab) == before


def test_the_first_goldens(lab: Lab) -> None:
    lab.write("words", [*lab.many(2), lab.failing("hard")])
    result = lab.run("--quant-reanchor=new", REPORT)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "  words on nf4, not anchored before: 3 new",
            "    anchored by this run: 3 cases (case-0, case-1, hard)",
        ]
    )
    for variant in ("fp16", "nf4"):
        assert set(rows(lab, variant)) == {"case-0", "case-1", "hard"}
    assert {row["transition"] for row in rows(lab, "fp16").values()} == {None}
    assert rows(lab)["hard"]["transition"] == "fail_to_fail"
    assert rows(lab)["case-0"]["answers"][0]["text"] in lab.tiny.texts["nf4"].values()
    (anchor,) = json.loads(golden_file(lab).read_text().splitlines()[0])["anchors"].values()
    assert anchor["by"] == "ana"
    assert anchor["command"].startswith("pytest ")
    assert "--quant-reanchor new" in anchor["command"]
    assert anchor["identity"]["spec"] == "nf4"
    report = report_of(lab)
    assert report.verdict is Verdict.PASS
    assert record_of(report).written == ("case-0", "case-1", "hard")
    assert lab.run().ret == pytest.ExitCode.OK


def test_a_reference_alone_is_anchored_as_its_own_candidate(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.run("--quant-reanchor=new", candidates=("fp16",)).assert_outcomes(passed=3)
    assert set(contents(lab)) == {"words/fp16.jsonl"}
    lab.run(candidates=("fp16",)).assert_outcomes(passed=4)


def test_what_drifted_is_anchored_anew_and_nothing_else(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    edit(anchored, "case-2", reworded)
    before = rows(anchored)
    result = anchored.run("--quant-reanchor=drifted", "-v", REPORT)
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*::drift[[]nf4[]] SKIPPED (re-anchoring: drifted from the golden 1 of 3*",
            "    anchored by this run: 1 case (case-1)",
        ]
    )
    after = rows(anchored)
    assert after["case-0"] == before["case-0"]
    assert after["case-2"] == before["case-2"]
    assert after["case-1"]["results"][0]["followed"] is True
    report = report_of(anchored)
    assert report.verdict is Verdict.PASS
    assert [each.candidate for each in report.drifts] == ["fp16"]
    assert states(record_of(report)) == {"case-1": "drifted", "case-2": "reworded"}
    anchored.run().assert_outcomes(passed=6)


def test_drift_that_is_not_to_be_anchored_fails_as_ever(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    before = contents(anchored)
    result = anchored.run("--quant-reanchor=new,unused")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["quantgate: nothing was anchored: the run failed"])
    assert contents(anchored) == before


def test_expired_and_unused_cases(anchored: Lab) -> None:
    anchored.write("words", [*anchored.many(2)[:1], anchored.preserved("fresh")])
    result = anchored.run("--quant-reanchor=expired,unused")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "  words on nf4, anchored*: 1 new, 1 expired, 2 unused",
            "    anchored by this run: 1 case (case-0)",
            "    removed by this run: 2 cases (case-1, case-2)",
        ]
    )
    assert set(rows(anchored)) == {"case-0"}
    anchored.run().stdout.fnmatch_lines(["  words on nf4, anchored*: 1 same, 1 new"])


def test_all_makes_a_golden_anew(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    edit(anchored, "case-2", reworded)
    golden_file(anchored, "fp16").unlink()
    assert anchored.run("--quant-reanchor=all").ret == pytest.ExitCode.OK
    result = anchored.run()
    result.stdout.fnmatch_lines(["  words on fp16, *: 3 same", "  words on nf4, *: 3 same"])


def test_where_nothing_changed_nothing_is_written(anchored: Lab) -> None:
    before = contents(anchored)
    result = anchored.run("--quant-reanchor=new,drifted,expired,unused")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: nothing to anchor"])
    assert contents(anchored) == before


def test_a_golden_without_cases_is_removed(anchored: Lab) -> None:
    anchored.write("words", [anchored.preserved("other")])
    assert anchored.run("--quant-reanchor=unused").ret == pytest.ExitCode.OK
    assert contents(anchored) == {}


# --- degraded cases


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


def test_a_degraded_case_that_is_accepted_keeps_the_reason(lab: Lab) -> None:
    cases = [*lab.many(2), lab.degraded("worse")]
    lab.write("words", cases)
    accept = "--quant-accept=words::worse[nf4]=nobody asks = this in Breton"
    result = lab.run("--quant-reanchor=new", accept, *TOLERANT, REPORT)
    assert result.ret == pytest.ExitCode.OK
    shown = "    accepted although degraded: worse (nobody asks = this in Breton)"
    result.stdout.fnmatch_lines([shown])
    assert rows(lab)["worse"]["accepted"] == "nobody asks = this in Breton"
    assert record_of(report_of(lab)).accepted == {"worse": "nobody asks = this in Breton"}
    lab.run(*TOLERANT).stdout.fnmatch_lines([shown])
    # anchored once more, the reason goes on to hold
    assert lab.run("--quant-reanchor=all", *TOLERANT).ret == pytest.ExitCode.OK
    assert rows(lab)["worse"]["accepted"] == "nobody asks = this in Breton"
    # and goes when the case is degraded no more
    cases[-1] = {**cases[-1], "checks": [{"word_count": {"max": 9}}]}
    lab.write("words", cases)
    assert lab.run("--quant-reanchor=expired").ret == pytest.ExitCode.OK
    assert "accepted" not in rows(lab)["worse"]


@pytest.mark.parametrize("name", ["worse", "words::worse", "worse[nf4]"])
def test_a_case_can_be_named_shorter_where_that_is_one_case(lab: Lab, name: str) -> None:
    lab.write("words", [*lab.many(2), lab.degraded("worse")])
    lab.write("others", [lab.preserved("one")])
    result = lab.run("--quant-reanchor=new", f"--quant-accept={name}=known", *TOLERANT)
    assert result.ret == pytest.ExitCode.OK
    assert rows(lab)["worse"]["accepted"] == "known"


def test_an_acceptance_that_is_not_needed_is_told(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--quant-reanchor=new", "--quant-accept=case-0=why not")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: --quant-accept words::case-0[[]nf4[]] was not needed: *"])
    assert "accepted" not in rows(lab)["case-0"]


def test_a_case_that_cannot_be_graded_is_left(lab: Lab) -> None:
    lab.write("words", [*lab.many(2), lab.unscored("long")], max_unscored=1.0)
    result = lab.run("--quant-reanchor=new")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["quantgate: words on nf4: 1 case could not be graded and was not anchored: long"])
    assert set(rows(lab)) == {"case-0", "case-1"}


# --- refused at the start


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


@pytest.mark.parametrize("value", ["", "0", "False"])
def test_ci_can_be_unset(anchored: Lab, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    assert anchored.run("--quant-reanchor=all").ret == pytest.ExitCode.OK


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


def test_a_user_without_a_name_is_unknown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr("getpass.getuser", nobody)
    lab.write("words", lab.many(2))
    assert lab.run("--quant-reanchor=new").ret == pytest.ExitCode.OK
    lab.run().stdout.fnmatch_lines(["*words on nf4, anchored 20* by unknown: 2 same"])


def test_the_date_can_be_fixed_so_that_goldens_are_reproducible(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    lab.write("words", lab.many(2))
    lab.run("--quant-reanchor=new")
    before = contents(lab)
    shutil.rmtree(lab.pytester.path / "golden")
    lab.run("--quant-reanchor=new")
    assert contents(lab) == before
