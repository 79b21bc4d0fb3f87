"""Suites that ship inside the package."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Lab, ship_suites


@pytest.fixture
def own_suite(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A suite `own` in a place that pytest ignores, as a package in `.venv` is."""
    folder = lab.pytester.path / ".venv" / "suites" / "own"
    (lab.pytester.path / ".venv").mkdir()
    (lab.pytester.path / ".venv" / "pyvenv.cfg").touch()
    lab.write("words", lab.many(3, degraded=1), file=".venv/suites/own/words.slice.yaml", max_pass_to_fail=0.0)
    lab.write("others", lab.many(2), file=".venv/suites/own/others.slice.yaml")
    ship_suites(lab, folder.parent, monkeypatch)
    return lab


def test_the_suite_alone_is_collected(own_suite: Lab) -> None:
    own_suite.write("mine", own_suite.many(1))
    own_suite.pytester.makepyfile("def test_one(): assert False")
    result = own_suite.run("--quant-suite", "own", "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*suite own", "own/others.slice.yaml::case-0[[]nf4[]] PASSED*", "own/words.slice.yaml::gate[[]nf4[]] FAILED*"]
    )
    result.assert_outcomes(passed=5, failed=1)


def test_paths_are_collected_beside_it(own_suite: Lab) -> None:
    own_suite.write("mine", own_suite.many(1))
    result = own_suite.run("--quant-suite", "own", "mine.slice.yaml")
    result.assert_outcomes(passed=7, failed=1)


def test_a_suite_in_the_ini_file_is_added_to_what_is_collected(own_suite: Lab) -> None:
    own_suite.pytester.makeini("[pytest]\nquant_suite = own")
    own_suite.pytester.makepyfile("def test_one(): pass")
    own_suite.run().assert_outcomes(passed=6, failed=1)


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        (("own/others.slice.yaml",), 2),
        (("own/words.slice.yaml::case-1[nf4]",), 1),
        (("own/words.slice.yaml::case-1", "own/others.slice.yaml"), 3),
        (("own/others.slice.yaml::gate[nf4]",), 2),
        (("--quant-slice", "others"), 2),
        (("-k", "words::case-1[nf4]"), 1),
    ],
)
def test_its_node_ids_select_as_others_do(own_suite: Lab, arguments: tuple[str, ...], ran: int) -> None:
    result = own_suite.run("--quant-suite", "own", *arguments)
    assert result.ret == pytest.ExitCode.OK
    told = "1 answer cached" if ran == 1 else f"all {ran} answers cached"
    result.stdout.fnmatch_lines([f"*nf4: {told}*"])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("own/wrods.slice.yaml::case-1", "*not found: own/wrods.slice.yaml*"),
        ("own/words.slice.yaml::nothing", "*not found: own/words.slice.yaml::nothing*"),
    ],
)
def test_a_node_id_that_is_not_there_is_an_error(own_suite: Lab, argument: str, message: str) -> None:
    result = own_suite.run("--quant-suite", "own", argument)
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
    (result.stdout if result.ret == pytest.ExitCode.INTERRUPTED else result.stderr).fnmatch_lines([message])


def test_last_failed_finds_its_cases(own_suite: Lab) -> None:
    own_suite.pytester.makepyfile("def test_one(): assert False")
    everything = ("--quant-suite", "own", "--quant-strict", ".")
    own_suite.run(*everything).assert_outcomes(passed=5, failed=3)
    own_suite.run(*everything, "--lf").assert_outcomes(passed=2, failed=3)


def test_several_suites_run_together(own_suite: Lab) -> None:
    (own_suite.pytester.path / ".venv" / "suites" / "more").mkdir()
    own_suite.write("further", own_suite.many(2), file=".venv/suites/more/further.slice.yaml")
    result = own_suite.run("--quant-suite", "own", "--quant-suite", "more", "-v")
    result.stdout.fnmatch_lines(["*suites own, more", "more/further.slice.yaml::gate[[]nf4[]] PASSED*"])
    result.assert_outcomes(passed=8, failed=1)
