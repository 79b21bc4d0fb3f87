"""What a slice can prove is told before a model is loaded; one that can prove nothing is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import Lab

LENIENT: dict[str, Any] = {"max_pass_to_fail": 0.3, "min_robustness": 0.5}


def test_a_slice_with_too_few_cases_for_evidence_is_refused(lab: Lab) -> None:
    lab.write("words", lab.many(6), rule="evidence", **LENIENT)
    lab.write("others", lab.many(12), rule="evidence", **LENIENT)
    result = lab.run("--quant-report-json=run.json", "--quant-model=/no/model")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line, hint = (line for line in result.errlines if line)
    # two gates share alpha, so a PASS is proven at 0.025
    assert line.startswith("ERROR: words.slice.yaml:2: slice words: ")
    assert " 11 cases" in line
    assert "--quant-allow-underpowered" in hint
    result.stdout.no_fnmatch_line("*no such model*")
    result.stdout.no_fnmatch_line("*answers*")


def test_every_such_slice_has_its_line(lab: Lab) -> None:
    for name in ("words", "others"):
        lab.write(name, lab.many(3), min_cases=30)
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines_random(
        ["ERROR: words.slice.yaml:2: slice words: *30*", "ERROR: others.slice.yaml:2: slice others: *30*"]
    )


def test_a_limit_that_nothing_can_prove_is_refused(lab: Lab) -> None:
    lab.write("words", lab.many(4), rule="evidence", max_pass_to_fail=0.0)
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: words.slice.yaml:2: slice words: *max_pass_to_fail*"])


def test_who_insists_gets_an_undecided_gate(lab: Lab) -> None:
    lab.write("words", lab.many(6), rule="evidence", **LENIENT)
    result = lab.run("--quant-allow-underpowered")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([lab.progress("words.slice.yaml", "......F"), "words, nf4: INCONCLUSIVE"])


def test_a_part_of_a_slice_is_not_refused(lab: Lab) -> None:
    lab.write("words", lab.many(6), rule="evidence", **LENIENT)
    result = lab.run("-k", "case-1")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*1 passed, 1 skipped*"])


def test_a_slice_that_only_python_tests_use_has_no_gate_to_refuse(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml", min_cases=30)
    file = lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.quant_slice("data/words.slice.yaml")
        def test_words(quant_case):
            quant_case.assert_not_degraded()
        """
    )
    assert lab.run(str(file)).ret == pytest.ExitCode.OK


def test_a_dry_run_shows_what_each_slice_can_prove(lab: Lab) -> None:
    lab.write("words", lab.many(12), rule="evidence", **LENIENT)
    lab.write("others", lab.many(20), max_pass_to_fail=0.1)
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(
        [
            "quantgate: what the cases of each slice can prove:",
            "slice *rule *cases *worth *",
            "others *point *20 *20 *yes",
            "words *evidence *12 *12 * 9 *yes",
        ]
    )


def test_a_dry_run_tells_of_slices_that_would_be_refused(lab: Lab) -> None:
    lab.write("words", lab.many(6), rule="evidence", **LENIENT)
    result = lab.run("--quant-dry-run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: words.slice.yaml:2: slice words: *9*"])
    result.stdout.fnmatch_lines(["words *evidence * 6 *no"])
    assert lab.run("--quant-dry-run", "--quant-allow-underpowered").ret == pytest.ExitCode.OK
