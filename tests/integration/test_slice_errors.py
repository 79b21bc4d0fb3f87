"""Slice files with mistakes: FILE:LINE lines at collection, and no traceback."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Lab

BROKEN = """\
slice: words
cases:
  - id: one
    prompt: say it
    checks: [exakt: it]
  - id: one
    prompt: again
    checks: [exact: it]
    tgas: [x]
"""


def test_all_problems_of_a_file_are_shown_as_file_and_line(lab: Lab) -> None:
    (lab.pytester.path / "words.slice.yaml").write_text(BROKEN)
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*ERROR collecting words.slice.yaml*",
            "words.slice.yaml:5: *exakt*did you mean 'exact'?",
            "words.slice.yaml:6: duplicate id 'one'*",
            "words.slice.yaml:9: unknown key 'tgas'*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*collect.py*")


def test_other_slices_run_when_the_user_wants_to_go_on(lab: Lab) -> None:
    lab.write("good", lab.many(2))
    (lab.pytester.path / "words.slice.yaml").write_text(BROKEN)
    result = lab.run("--continue-on-collection-errors")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, errors=1)


def test_two_files_with_one_slice_name_are_a_problem(lab: Lab) -> None:
    lab.write("words", lab.many(2), file="a.slice.yaml")
    lab.write("words", lab.many(2), file="b.slice.yaml")
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["b.slice.yaml:2: duplicate slice 'words' (first at a.slice.yaml:2)"])


def test_no_case_may_take_the_name_of_the_gate(lab: Lab) -> None:
    lab.write("words", [lab.preserved("gate")])
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["words.slice.yaml:*: id 'gate' is taken*"])
