"""Python tests over the cases of a slice."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Lab

TEST = """
import pytest

@pytest.mark.quant_slice("data/words.slice.yaml")
def test_words(quant_case):
    print(quant_case)
    assert quant_case.reference.completion.text
    assert quant_case.case.id
    quant_case.assert_not_degraded()
"""


def test_the_test_runs_for_every_case_and_candidate(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml")
    file = lab.pytester.makepyfile(TEST)
    result = lab.run(str(file), "--strict-markers", "-v", candidates=("nf4", "fp32"))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*::test_words[[]case-0-nf4[]] PASSED*", "*::test_words[[]case-1-fp32[]] PASSED*"])
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*::gate*")


def test_a_degraded_case_fails_with_both_answers(lab: Lab) -> None:
    lab.write("words", lab.many(2, degraded=1), file="data/words.slice.yaml")
    file = lab.pytester.makepyfile(TEST)
    result = lab.run(str(file))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["E*case-1 is degraded", "E*fp16: PASS*| nf4: FAIL*", "*1 failed, 1 passed*"])


def test_an_unscored_case_shows_nothing_and_fails(lab: Lab) -> None:
    lab.write("words", [lab.unscored("long")], file="data/words.slice.yaml")
    file = lab.pytester.makepyfile(TEST.replace("assert quant_case.reference.completion.text", ""))
    result = lab.run(str(file))
    result.stdout.fnmatch_lines(["E*long is unscored, so nothing shows that it is not degraded*"])


def test_slice_files_beside_it_keep_their_gates(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml")
    lab.pytester.makepyfile(TEST)
    result = lab.run()
    result.assert_outcomes(passed=5)


def test_without_a_candidate_the_test_is_skipped(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml")
    lab.pytester.makepyfile(TEST)
    result = lab.pytester.runpytest_inprocess("-rs", "--strict-markers")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*no candidate: name one with --quant-cand*"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TEST.replace('("data/words.slice.yaml")', "()"), "*write the marker as*"),
        (TEST.replace("def test_words(quant_case)", "def test_words()"), "*does not use the fixture quant_case*"),
        (TEST.replace("data/words", "data/nothing"), "*nothing.slice.yaml:1: no such file*"),
        (TEST.replace("data/words", "data/\\0"), r"*data/\x00.slice.yaml:1: cannot be read: *null byte"),
        (TEST.replace("data/words", "data/circle"), "*circle.slice.yaml:1: cannot be read: *symbolic links"),
    ],
)
def test_a_marker_that_is_wrong_is_a_collection_error(lab: Lab, source: str, message: str) -> None:
    lab.write("words", lab.many(2), file="data/words.slice.yaml")
    (lab.pytester.path / "data/circle.slice.yaml").symlink_to("circle.slice.yaml")
    file = lab.pytester.makepyfile(source)
    result = lab.run(str(file))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_fixture_without_the_marker_says_what_is_missing(lab: Lab) -> None:
    file = lab.pytester.makepyfile("def test_one(quant_case): pass")
    result = lab.run(str(file))
    result.stdout.fnmatch_lines(["quant_case needs the marker @pytest.mark.quant_slice*"])


def test_a_model_that_does_not_load_is_an_error_of_the_test(lab: Lab) -> None:
    lab.write("words", lab.many(1), file="data/words.slice.yaml")
    file = lab.pytester.makepyfile(TEST)
    result = lab.run(str(file), "--quant-model=no/such/folder/here")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)


def test_a_skipped_test_takes_no_case_from_the_gate(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=3))
    lab.pytester.makepyfile(
        """
        import pytest

        @pytest.mark.skip(reason="later")
        @pytest.mark.quant_slice("words.slice.yaml")
        def test_words(quant_case):
            pass
        """
    )
    result = lab.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED *gate[[]nf4[]] - FAIL: *"])
