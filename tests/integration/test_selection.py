"""-k, -m, node ids, --quant-slice, -x and --co select what runs; a part of a slice has no verdict."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.integration.conftest import Lab

SKIPPED = "*partial selection: 1 of 3 cases*"


@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "case-1"),
        ("-k", "words::case-1[nf4]"),
        ("words.slice.yaml::case-1",),
        ("words.slice.yaml::case-1[nf4]",),
    ],
)
def test_one_case_runs_alone_and_its_gate_is_skipped(lab: Lab, arguments: tuple[str, ...]) -> None:
    lab.write("words", lab.many(3, degraded=3), max_pass_to_fail=0.0)
    result = lab.run("-rs", *arguments)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*fp16: 1 answer cached*", "SKIPPED*" + SKIPPED, "*1 skipped, *1 degraded*"])


@pytest.mark.parametrize(
    ("arguments", "items"),
    [
        (("words.slice.yaml::gate[nf4]",), 3),
        (("./words.slice.yaml::gate",), 6),
        (("words.slice.yaml::gate[nf4]", "words.slice.yaml::gate[fp32]"), 6),
        (("words.slice.yaml::gate[nf4]", "others.slice.yaml::case-0[fp32]"), 4),
        (("words.slice.yaml::gate[nf4]", "words.slice.yaml::case-0[fp32]"), 6),
    ],
)
def test_the_node_id_of_a_gate_selects_its_cases(lab: Lab, arguments: tuple[str, ...], items: int) -> None:
    lab.write("words", lab.many(3))
    lab.write("others", lab.many(3))
    result = lab.run(*arguments, candidates=("nf4", "fp32"))
    result.stdout.fnmatch_lines([f"*{items} items*", "words *"])  # "collected 3 items", or "2 workers [3 items]"
    assert "::gate" not in result.stderr.str()


def test_tags_are_markers_even_under_strict_markers(lab: Lab) -> None:
    cases = [lab.preserved("one", tags=["two-words"]), lab.preserved("two", tags=["other"]), lab.preserved("three")]
    lab.write("words", cases)
    result = lab.run("-m", "two_words", "--strict-markers", "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["words.slice.yaml::one[[]nf4[]] PASSED*", "*1 passed, 1 skipped, 2 deselected*"])


def test_quant_slice_deselects_other_slices_and_keeps_ordinary_tests(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.write("others", lab.many(2))
    lab.pytester.makepyfile("def test_one(): pass")
    result = lab.run("--quant-slice", "words")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*4 passed, 2 deselected*"])


def test_an_unknown_slice_names_the_nearest(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--quant-slice", "wrods")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-slice wrods: no such slice: did you mean 'words'?"])


def test_candidates_are_selected_by_their_spec(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("-k", "[fp32]", candidates=("nf4", "fp32"))
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*3 passed, 2 deselected*"])
    result.stdout.no_fnmatch_line("nf4: all *")


def test_collect_only_lists_items_and_answers_nothing(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    result = lab.run("--co", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["words.slice.yaml::case-0[[]nf4[]]", "words.slice.yaml::case-1[[]nf4[]]"])
    result.stdout.no_fnmatch_line("*cached*")
    result.stdout.no_fnmatch_line("*gate*")


def test_stopping_early_leaves_gates_without_a_verdict(lab: Lab) -> None:
    lab.write("words", lab.many(3, degraded=3))
    result = lab.run("-x", "--quant-strict")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED words.slice.yaml::gate[[]nf4[]] - INCONCLUSIVE: missing cases: [12] of 3*"])


def test_a_case_that_is_marked_to_be_skipped_counts_as_deselected(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    lab.pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            items[0].add_marker(pytest.mark.skip(reason="not today"))
        """
    )
    result = lab.run("-rs")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["SKIPPED*partial selection: 2 of 3 cases*"])


@pytest.mark.parametrize("plugin", ["cacheprovider", "terminal", "junitxml", "capture"])
def test_other_plugins_can_be_switched_off(lab: Lab, plugin: str) -> None:
    lab.write("words", lab.many(3, degraded=1), max_pass_to_fail=0.0)
    assert lab.run("-p", f"no:{plugin}").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "ünïcode 你好",
        "a/b",
        "list[0]",
        "[",
        'it\'s "quoted"',
        "a.b-c",
        "<&>",
        "percent % and {brace}",
        "x" * 200,
    ],
)
def test_ids_with_odd_characters_are_selected_by_node_id_and_reach_junit(lab: Lab, name: str) -> None:
    lab.write("words", [lab.preserved("first"), lab.preserved(name)])
    xml = lab.pytester.path / "out.xml"
    result = lab.run(f"words.slice.yaml::{name}[nf4]", "--junitxml", str(xml), "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*1 passed, 1 skipped*"])
    names = [case.get("name") for case in ET.parse(xml).iter("testcase")]  # noqa: S314  (pytest's own file)
    assert names == [f"{name}[nf4]", "gate[nf4]"]
