"""A whole run: items, gates, report and exit status."""

from __future__ import annotations

import pytest

from pytest_quantgate.report.store import load
from tests.integration.conftest import Lab
from tests.integration.workers import counts


def test_a_slice_that_holds_passes(lab: Lab) -> None:
    lab.write("words", [*lab.many(4), lab.failing("hard")], max_pass_to_fail=0.1)
    result = lab.run("-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "quantgate: model *, device cpu",
            "quantgate: reference fp16 (float32, native kernels), candidate nf4 (float32, dense kernels)",
            "words.slice.yaml::case-0[[]nf4[]] PASSED*",
            "words.slice.yaml::hard[[]nf4[]] PASSED*",
            "words.slice.yaml::gate[[]nf4[]] PASSED*100%*",
            "candidate nf4 against reference fp16*",
            "words *PASS",
            "*6 passed in *",
        ]
    )


def test_a_slice_that_degrades_fails_the_build_by_its_gate_alone(lab: Lab) -> None:
    lab.write("words", lab.many(5, degraded=2), max_pass_to_fail=0.1)
    result = lab.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            lab.progress("words.slice.yaml", "...DDF"),
            "*FAILURES*",
            "*words: gate[[]nf4[]]*",
            "words, nf4: FAIL",
            "  PASS→FAIL 2 of 5 (40.0%*",
            "*degraded cases*",
            "words::case-3[[]nf4[]]  PASS→FAIL",
            "*what to do next*",
            "FAILED words.slice.yaml::gate[[]nf4[]] - FAIL: PASS→FAIL 2 of 5*",
            "*1 failed, 3 passed, 2 degraded in *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_every_candidate_has_items_and_a_gate_of_its_own(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    result = lab.run("-v", candidates=("nf4", "fp32"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "words.slice.yaml::case-2[[]nf4[]] DEGRADED*",
            "words.slice.yaml::case-2[[]fp32[]] PASSED*",
            "words.slice.yaml::gate[[]nf4[]] FAILED*",
            "words.slice.yaml::gate[[]fp32[]] PASSED*100%*",
        ]
    )


def test_a_run_says_what_each_variant_is_and_by_which_kernels_it_answered(lab: Lab) -> None:
    lab.write("words", lab.many(2), max_pass_to_fail=1, min_robustness=0)
    result = lab.run("--quant-report-json=run.json", candidates=("nf4", "int8"))
    result.stdout.fnmatch_lines(
        [
            "*reference fp16 (*, native kernels), candidates nf4 (*, dense kernels), int8 (*, native kernels)",
            "nf4: 4-bit NormalFloat (bitsandbytes): all linear layers except the output head; dense kernels",
            "int8: 8-bit integers, activations too (LLM.int8) (bitsandbytes): *; native*",
            "reference fp16: weights rounded to float16, nothing quantized; native kernels",
        ]
    )
    report = load(lab.pytester.path / "run.json")
    assert report.reference.summary == "weights rounded to float16, nothing quantized"
    assert [each.kernels for each in (report.reference, *report.candidates)] == ["native", "dense", "native"]
    assert [(each.summary or "").partition(" (")[0] for each in report.candidates] == [
        "4-bit NormalFloat",
        "8-bit integers, activations too",
    ]


def test_a_variant_against_itself_shows_no_transition(lab: Lab) -> None:
    lab.write("words", [lab.preserved("one"), lab.degraded("two"), lab.failing("three")], max_pass_to_fail=0.0)
    result = lab.run("--quant-ref", "fp16", candidates=("fp16",))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*4 passed in *"])


def test_improved_and_unscored_cases_have_letters_of_their_own(lab: Lab) -> None:
    cases = [lab.preserved("same"), lab.improved("better"), lab.unscored("long")]
    lab.write("words", cases, max_unscored=0.5)
    result = lab.run("-rs")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            lab.progress("words.slice.yaml", ".IU."),
            "*unscored cases*",
            "words on nf4: long: *context*",
        ]
    )
    assert counts(result) == {"passed": 2, "improved": 1, "unscored": 1}


def test_a_gate_that_cannot_decide_fails_the_build(lab: Lab) -> None:
    lab.write("words", lab.many(3), min_cases=30)
    result = lab.run("--quant-allow-underpowered")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED words.slice.yaml::gate[[]nf4[]] - INCONCLUSIVE: too few cases: 3 scored*"])


def test_a_reference_that_passes_nothing_fails_the_build(lab: Lab) -> None:
    lab.write("words", [lab.failing("one"), lab.failing("two")])
    result = lab.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED words.slice.yaml::gate[[]nf4[]] - INCONCLUSIVE: *passes none*"])


def test_ordinary_tests_run_beside_slices(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makepyfile("def test_one(): pass\ndef test_two(): assert False")
    result = lab.run()
    result.assert_outcomes(passed=4, failed=1)
