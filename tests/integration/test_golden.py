"""Goldens: every variant is compared with its own, by behaviour, and drift has a gate of its own."""

from __future__ import annotations

import json

import pytest

from pytest_quantgate.gate.model import Verdict
from tests.integration.conftest import Lab, ship_suites
from tests.integration.goldens import (
    edit,
    edit_identity,
    golden_file,
    record_of,
    report_of,
    reworded,
    states,
    violated,
)

pytestmark = pytest.mark.usefixtures("at_home")

REPORT = "--quant-report-json=run.json"
DRIFT_NF4 = "words.slice.yaml::drift[nf4]"


def test_a_run_that_anchored_nothing_says_nothing_of_it(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    result = lab.run(REPORT)
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("golden*")
    result.stdout.no_fnmatch_line("*drift*")
    assert not report_of(lab).goldens
    assert not report_of(lab).drifts
    assert not (lab.pytester.path / "golden").exists()


def test_what_is_as_it_was_anchored_passes(anchored: Lab) -> None:
    result = anchored.run("-v", REPORT)
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(
        [
            "words.slice.yaml::gate[[]nf4[]] PASSED*",
            "words.slice.yaml::drift[[]fp16[]] PASSED*",
            "words.slice.yaml::drift[[]nf4[]] PASSED*100%*",
            "goldens",
            "  words on fp16, anchored 20*: 3 same",
            "  words on nf4, anchored 20*: 3 same",
        ]
    )
    report = report_of(anchored)
    assert [(each.candidate, each.verdict) for each in report.drifts] == [
        ("fp16", Verdict.PASS),
        ("nf4", Verdict.PASS),
    ]
    record = record_of(report)
    assert (record.path, record.same, record.standings) == ("golden/words/nf4.jsonl", 3, ())
    assert record.by
    assert record.anchored


def test_other_words_with_the_same_results_never_fail(anchored: Lab) -> None:
    for case in ("case-0", "case-1", "case-2"):
        edit(anchored, case, reworded)
    result = anchored.run(REPORT, "--quant-max-drift=0")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*words on nf4, anchored*: 3 reworded"])
    assert set(states(record_of(report_of(anchored))).values()) == {"reworded"}


def test_other_results_are_drift_and_fail_above_the_limit(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    result = anchored.run(REPORT)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "drift of words, nf4: FAIL",
            "  drifted from the golden 1 of 3 (33.3%*) is above 2.0%",
            "*words on nf4, anchored*: 2 same, 1 drifted",
            "    drifted case-1: one_of was violated, is followed",
            "FAIL drift of words on nf4",
            "- if what is drifted is as it should be*",
            "    pytest *--quant-reanchor drifted",
            "    pytest *--quant-reanchor review",
            "FAILED words.slice.yaml::drift[[]nf4[]] - FAIL: drifted from the golden 1 of 3*",
        ]
    )
    report = report_of(anchored)
    assert report.verdict is Verdict.FAIL
    assert [gate.verdict for gate in report.gates] == [Verdict.PASS]
    assert anchored.run("--quant-max-drift=0.4").ret == pytest.ExitCode.OK


def test_the_limit_can_be_set_in_the_slice_file(lab: Lab) -> None:
    lab.write("words", lab.many(3), max_drift=0.5)
    lab.run("--quant-reanchor=new")
    edit(lab, "case-1", violated)
    assert lab.run().ret == pytest.ExitCode.OK


def test_what_grading_changed_is_told_as_such(anchored: Lab) -> None:
    edit(anchored, "case-1", lambda row: row["results"][0].update(followed=False))
    result = anchored.run()
    result.stdout.fnmatch_lines(["*drifted case-1: the grading changed, not the model: *"])


def test_new_expired_and_unused_cases_are_told_apart(lab: Lab) -> None:
    cases = [*lab.many(10), lab.preserved("asked-anew"), lab.preserved("gone")]
    lab.write("words", cases, max_unscored=0.1)
    lab.run("--quant-reanchor=new")
    changed = lab.preserved("asked-anew")
    lab.write("words", [*cases[:10], changed, lab.preserved("fresh")], max_unscored=0.1)
    result = lab.run(REPORT)
    result.assert_outcomes(passed=15)
    result.stdout.fnmatch_lines(
        [
            "  words on nf4, anchored*: 10 same, 1 new, 1 expired, 1 unused",
            "- if what is new or expired or unused is as it should be*",
            "    pytest * --quant-reanchor new,expired,unused",
        ]
    )
    assert states(record_of(report_of(lab))) == {"asked-anew": "expired", "fresh": "new", "gone": "unused"}


def test_a_golden_that_has_expired_decides_nothing(lab: Lab) -> None:
    lab.write("words", [lab.preserved("case-0"), lab.preserved("case-1")])
    lab.run("--quant-reanchor=new")
    lab.write("words", [lab.preserved("case-0"), lab.preserved("case-1")])
    result = lab.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *drift[[]nf4[]] - INCONCLUSIVE: nothing can be compared*2 expired of 2*"])
    assert lab.run("--quant-inconclusive=pass").ret == pytest.ExitCode.OK


def test_a_library_upgrade_is_named(anchored: Lab) -> None:
    edit_identity(anchored, **{"version:bitsandbytes": "0.1.0"})
    result = anchored.run(REPORT)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*words on nf4*3 same", "    other than when it was anchored: *bitsandbytes*0.1.0*"])
    assert record_of(report_of(anchored), "fp16").changes == ()
    assert len(record_of(report_of(anchored)).changes) == 1


def test_a_part_of_a_slice_is_not_judged(anchored: Lab) -> None:
    edit(anchored, "case-1", violated)
    result = anchored.run("-k", "case-0", REPORT)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=3, deselected=2)
    record = record_of(report_of(anchored))
    assert (record.same, record.standings) == (1, ())


def test_a_case_that_gave_no_result_is_missing(anchored: Lab) -> None:
    anchored.pytester.makeconftest(
        """
        import pytest

        def pytest_runtest_setup(item):
            assert item.name != "case-1[nf4]"
        """
    )
    result = anchored.run()
    result.stdout.fnmatch_lines(["FAILED *drift[[]nf4[]] - INCONCLUSIVE: missing cases: 1 of 3 anchored cases*"])


def test_a_model_that_does_not_answer_is_no_drift(anchored: Lab) -> None:
    result = anchored.run("--quant-model=/no/model")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *drift[[]nf4[]] - INCONCLUSIVE: /no/model: no such model*"])


def test_trouble_with_one_candidate_leaves_the_reference_and_the_others_alone(anchored: Lab) -> None:
    result = anchored.run("-v", candidates=("nf4:skip=no_such_module", "nf4"))
    result.stdout.fnmatch_lines(
        ["*::drift[[]fp16[]] PASSED*", "*::drift[[]nf4[]] PASSED*"],
    )


def nothing_quantized(lab: Lab) -> str:
    """A candidate that is refused when it has been loaded, when the reference has answered."""
    layers = json.loads((lab.tiny.folder / "config.json").read_text())["num_hidden_layers"]
    return f"nf4:skip={'+'.join(f'model.layers.{number}' for number in range(layers))}"


def test_a_reference_is_judged_by_its_own_answers_where_no_candidate_gave_any(anchored: Lab) -> None:
    broken = (nothing_quantized(anchored),)
    anchored.run("-v", candidates=broken).stdout.fnmatch_lines(["*::drift[[]fp16[]] PASSED*"])
    edit(anchored, "case-1", violated, "fp16")
    result = anchored.run(candidates=broken)
    result.stdout.fnmatch_lines(["FAILED *::drift[[]fp16[]] - FAIL: drifted from the golden 1 of 3*"])


def test_a_sequential_run_judges_such_a_reference_by_what_it_was_asked(lab: Lab) -> None:
    lab.write("words", lab.many(30), rule="evidence", min_cases=5, max_pass_to_fail=0.5, min_robustness=0.1)
    lab.run("--quant-reanchor=new", "--quant-inconclusive=pass")
    lab.run("--quant-sequential", REPORT, candidates=(nothing_quantized(lab),))
    (drift,) = report_of(lab).drifts
    assert (drift.candidate, drift.verdict) == ("fp16", Verdict.PASS)
    assert 0 < drift.findings[0].cases < 30


@pytest.mark.parametrize("name", ["drift", "drift[nf4]", "drift[fp16]"])
def test_a_drift_gate_is_run_by_its_node_id(anchored: Lab, name: str) -> None:
    anchored.write("others", [anchored.preserved("one")])
    result = anchored.run(f"words.slice.yaml::{name}")
    result.assert_outcomes(passed=6)


def test_a_failed_drift_gate_comes_back_with_lf(anchored: Lab) -> None:
    anchored.write("others", [anchored.preserved("one")])
    edit(anchored, "case-1", violated)
    anchored.run()
    failed = json.loads((anchored.pytester.path / ".pytest_cache/v/cache/lastfailed").read_text())
    assert set(failed) == {DRIFT_NF4}
    result = anchored.run("--lf")
    if anchored.way != "n2":  # a worker says nothing of it
        result.stdout.fnmatch_lines(["run-last-failure: rerun previous 1 failure*"])
    result.assert_outcomes(passed=5, failed=1, deselected=1)
    part = anchored.run("--lf", "-k", "case-0")
    part.assert_outcomes(passed=1, skipped=3, deselected=3)
    assert anchored.run("--lf").ret == pytest.ExitCode.TESTS_FAILED


def test_a_reference_that_drifted_comes_back_with_lf(anchored: Lab) -> None:
    edit(anchored, "case-1", violated, "fp16")
    anchored.run()
    result = anchored.run("--lf", "-v")
    result.stdout.fnmatch_lines(["*::drift[[]fp16[]] FAILED*"])


def test_a_golden_with_an_error_is_refused_with_its_line_before_anything_runs(anchored: Lab) -> None:
    file = golden_file(anchored)
    lines = file.read_text().splitlines()
    lines[2] = lines[2].replace('"followed": true', '"followed": "yes"')
    file.write_text("\n".join(lines) + "\n")
    for arguments in ((), ("--quant-dry-run",)):
        result = anchored.run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: golden/words/nf4.jsonl:3: *"])
        result.stdout.no_fnmatch_line("fp16: *")


def test_goldens_of_a_packaged_suite_lie_below_the_root_folder(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lab.write("words", lab.many(2), file="suites/mine/words.slice.yaml")
    ship_suites(lab, file.parent.parent, monkeypatch)
    arguments = ("--quant-suite=mine", "--quant-reanchor=new")
    lab.run(*arguments).assert_outcomes(passed=3)
    assert (lab.pytester.path / "golden/mine/words/nf4.jsonl").exists()
    assert not list((lab.pytester.path / "suites").rglob("golden"))
    lab.run("--quant-suite=mine").assert_outcomes(passed=5)


def test_a_slice_that_only_python_tests_name_has_no_golden(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml")
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("data/words.slice.yaml")
        def test_words(quant_case):
            quant_case.assert_not_degraded()
        """
    )
    result = lab.run("--quant-reanchor=new", "test_a_slice_that_only_python_tests_name_has_no_golden.py")
    result.assert_outcomes(passed=2)
    assert not list(lab.pytester.path.rglob("*.jsonl"))


def test_a_sequential_run_judges_what_it_asked(lab: Lab) -> None:
    lab.write("words", lab.many(30), rule="evidence", min_cases=5, max_pass_to_fail=0.5, min_robustness=0.1)
    lab.run("--quant-reanchor=new", "--quant-inconclusive=pass")
    edit(lab, "case-1", violated)
    result = lab.run("--quant-sequential", "--quant-max-drift=0.5", REPORT)
    assert result.ret == pytest.ExitCode.OK
    (drift,) = (each for each in report_of(lab).drifts if each.candidate == "nf4")
    assert not drift.partial
    assert drift.findings[0].cases < 30


def test_names_do_not_lead_out_of_the_folder(lab: Lab) -> None:
    lab.write("../up", lab.many(2), file="odd.slice.yaml")
    assert lab.run("--quant-reanchor=new").ret == pytest.ExitCode.OK
    found = {path.relative_to(lab.pytester.path).as_posix() for path in lab.pytester.path.rglob("nf4.jsonl")}
    assert found == {"golden/%2E.%2Fup/nf4.jsonl"}
