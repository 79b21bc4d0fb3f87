"""--quant-reanchor and --quant-accept: what is written, and what is said of it."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_quantgate.gate.model import Verdict
from tests.integration.conftest import Lab
from tests.integration.goldens import (
    contents,
    edit,
    golden_file,
    record_of,
    report_of,
    reworded,
    rows,
    states,
    violated,
)

pytestmark = pytest.mark.usefixtures("at_home")

REPORT = "--quant-report-json=run.json"
TOLERANT = ("--quant-max-pass-to-fail=1", "--quant-min-robustness=0")


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


def test_a_golden_without_cases_is_removed(anchored: Lab) -> None:
    anchored.write("words", [anchored.preserved("other")])
    assert anchored.run("--quant-reanchor=unused").ret == pytest.ExitCode.OK
    assert contents(anchored) == {}


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


@pytest.mark.parametrize("value", ["", "0", "False"])
def test_ci_can_be_unset(anchored: Lab, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    assert anchored.run("--quant-reanchor=all").ret == pytest.ExitCode.OK


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
