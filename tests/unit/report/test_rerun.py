from __future__ import annotations

import shlex

import pytest
from _pytest.mark.expression import Expression

from pytest_quantgate.report.rerun import rerun_commands, shell_line
from tests.unit.report.build import FAILED, PASSED, record

BASE = ("pytest", "--quant-suite", "core", "--quant-ref", "fp16", "--quant-cand", "nf4")


def commands(*ids: str, base: tuple[str, ...] = BASE, candidate: str = "nf4") -> list[list[str]]:
    records = [record("format", each, PASSED, FAILED, candidate) for each in ids]
    return [shlex.split(line) for line in rerun_commands(base, records, candidate)]


def test_cases_are_chosen_by_keyword_after_the_command_as_it_was() -> None:
    assert commands("person-flat", "b") == [[*BASE, "-k", "format::person-flat[nf4] or format::b[nf4]"]]


@pytest.mark.parametrize("case_id", ["person-flat", "a.b:c+d", "and", "not", r"back\slash", "größe", "x[0]", "a/b"])
def test_pytest_reads_the_keyword_as_one_name(case_id: str) -> None:
    ((*_, option, keyword),) = commands(case_id)

    assert option == "-k"
    assert Expression.compile(keyword).evaluate(lambda name, /, **_: name == f"format::{case_id}[nf4]")


@pytest.mark.parametrize("case_id", ["two words", "a=b", "it's", "a;rm -rf", "$HOME", "(x)", "né\u0301e", "a,b"])
def test_an_id_that_k_cannot_express_is_named_by_node_id(case_id: str) -> None:
    assert commands(case_id) == [[*BASE, f"suites/format.slice.yaml::{case_id}[nf4]"]]


def test_a_candidate_that_k_cannot_express_is_named_by_node_id() -> None:
    assert commands("a", candidate="nf4:skip=lm_head") == [[*BASE, "suites/format.slice.yaml::a[nf4:skip=lm_head]"]]


def test_ids_of_both_kinds_need_a_line_each() -> None:
    assert [line[len(BASE) :] for line in commands("a", "two words", "b")] == [
        ["-k", "format::a[nf4] or format::b[nf4]"],
        ["suites/format.slice.yaml::two words[nf4]"],
    ]


@pytest.mark.parametrize("path", ["suites", "suites/", "suites/format.slice.yaml", "."])
def test_a_node_id_does_not_run_the_path_that_holds_it_too(path: str) -> None:
    base = ("pytest", "--rootdir", "suites", path, "other", "--quant-cand", "nf4")

    assert commands("two words", base=base) == [
        [
            "pytest",
            "--rootdir",
            "suites",
            "other",
            "--quant-cand",
            "nf4",
            "suites/format.slice.yaml::two words[nf4]",
        ]
    ]
    assert commands("a", base=base)[0][: len(base)] == list(base)


def test_a_line_names_ten_cases_at_most() -> None:
    ((*_, keyword),) = commands(*(f"case-{n}" for n in range(25)))

    assert keyword.count(" or ") == 9


def test_a_shell_line_cannot_act_on_the_terminal() -> None:
    assert shell_line(["quantgate", "report", "\x1b[2J"]) == r"quantgate report '\x1b[2J'"
