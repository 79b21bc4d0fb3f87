from __future__ import annotations

import pytest

from tests.integration.conftest import Lab


def test_degraded_cases_fail_with_both_answers_and_no_traceback(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.5, min_robustness=0.0)
    result = lab.run("--quant-strict")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            lab.progress("words.slice.yaml", "..F."),
            "*words: case-2[[]nf4[]]*",
            "words::case-2[[]nf4[]]  PASS→FAIL",
            "fp16: PASS*| nf4: FAIL*",
            "They part at token*",
            "broke exact: *",
            "FAILED words.slice.yaml::case-2[[]nf4[]] - degraded: exact: *",
            "*1 failed, 3 passed*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*collect.py*")


def test_the_ini_key_says_the_same(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.5, min_robustness=0.0)
    lab.pytester.makeini("[pytest]\nquant_strict = true")
    lab.run().assert_outcomes(passed=3, failed=1)


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_every_traceback_style_shows_a_failed_gate(lab: Lab, style: str) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    result = lab.run("--quant-strict", f"--tb={style}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=2)
