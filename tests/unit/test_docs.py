"""What the pages in docs/ say of checks, slice files and statistics is true of the code; tests/docs runs their code."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import fields
from math import erfc, sqrt
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cases.generators import GENERATORS
from pytest_quantgate.cases.model import Case, Message
from pytest_quantgate.cases.read_case import CASE_KEYS, TURN_KEYS
from pytest_quantgate.cases.read_gate import GATE_KEYS
from pytest_quantgate.cases.read_slice import _DEFAULT_KEYS, _SLICE_KEYS
from pytest_quantgate.checks.builtin import builtin_families, builtin_registry
from pytest_quantgate.checks.model import Answer
from pytest_quantgate.checks.registry import Check
from pytest_quantgate.diagnosis.classify import CRITERIA
from pytest_quantgate.diagnosis.measures import ENERGY, MEASURES
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.changes import change_between
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.outcomes.significance import (
    binomial_exact,
    cohens_h,
    p_at_least,
    p_at_most,
    p_ratio_at_least,
    p_ratio_at_most,
    two_proportion_z,
)
from pytest_quantgate.outcomes.statistics import SliceStatistics, robustness_coefficient
from pytest_quantgate.outcomes.transitions import TransitionCounts

DOCS = Path(__file__).parents[2] / "docs"
CHECKS = (DOCS / "checks.md").read_text(encoding="utf-8")
SLICE_FILES = (DOCS / "slice-files.md").read_text(encoding="utf-8")
STATISTICS = (DOCS / "statistics.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`(\[?)(\w+)\]?`")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page that are marked with a language."""
    return [text for mark, text in _BLOCK.findall(page) if mark == language]


def tables(page: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Each table's first heading, and its rows' other cells by what stands in the first one, without backticks."""
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        first, _, *rows = ([cell.strip() for cell in line.strip("| \n").split(" | ")] for line in table.splitlines())
        yield first[0], {row[0].strip("`"): row[1:] for row in rows}


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of all tables of a page that begin with a heading."""
    return {name: cells for first, rows in tables(page) if first == heading for name, cells in rows.items()}


def built_in() -> Mapping[str, Check]:
    registry = builtin_registry()
    return {name: check for name in registry.names() if (check := registry.get(name)) is not None}


def test_every_check_stands_in_a_table_and_no_other() -> None:
    assert rows_of(CHECKS, "check").keys() == built_in().keys()


@pytest.mark.parametrize("page", ["ifeval", "ifbench"])
def test_the_pages_on_instructions_name_them_all_and_no_other(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert all(name.partition(":")[2] in text for name in instructions(page))
    groups = {name.partition(":")[0] for name in instructions(page)}
    mentioned = {name for name in re.findall(r"[a-z_]+:[\w-]+", text) if name.partition(":")[0] in groups}
    assert {name for name in mentioned if not name.endswith(("_", "-"))} <= set(instructions(page))


def instructions(page: str) -> tuple[str, ...]:
    title = {"ifeval": "instructions of IFEval", "ifbench": "instructions of IFBench"}[page]
    return builtin_families()[title].names()


def test_the_tables_name_the_arguments_of_every_check() -> None:
    checks = built_in()
    for name, (arguments, _) in ((name, cells) for name, cells in rows_of(CHECKS, "check").items()):
        told = {argument: not bracket for bracket, argument in _CODE.findall(arguments)}
        assert told == {
            parameter.name: parameter.required for parameter in checks[name].parameters if parameter.name != "loose"
        }, name


def test_the_check_of_your_own_does_what_is_said(tmp_path: Path) -> None:
    (code,) = blocks(CHECKS, "python")
    file = tmp_path / "conftest.py"
    file.write_text(code, encoding="utf-8")
    hooks: dict[str, Any] = runpy.run_path(str(file))
    registry = builtin_registry()
    hooks["pytest_quantgate_register_checks"](registry)
    case = Case("one", (Message("user", "Why?"),), (), 8)

    def graded(raw: object, answer: str, finish_reason: str = "stop") -> bool | None:
        spec, problems = registry.parse("ends_with", raw)
        assert spec is not None, problems
        return registry.grade(spec, case, Answer(answer, finish_reason)).followed

    assert graded("The end.", "And so on. The end. ") is True
    assert graded("The end.", "the end.") is False
    assert graded({"text": "the end", "ignore_case": True}, "THE END") is True
    assert graded("{prompt}", "You ask: Why?") is True
    assert graded("The end.", "") is False
    assert graded("The end.", "The end.", "length") is None
    assert registry.parse("ends_with", " ")[1] == (
        "check 'ends_with': argument 'text' is blank: every answer ends with it",
    )


def test_every_key_of_a_slice_file_is_told() -> None:
    assert set(rows_of(SLICE_FILES, "key")) == {*_SLICE_KEYS, *GATE_KEYS, *CASE_KEYS}
    assert all(f"`{key}`" in SLICE_FILES for key in (*_DEFAULT_KEYS, *TURN_KEYS))


def test_the_defaults_of_the_gate_are_told() -> None:
    policy, rows = GatePolicy(), rows_of(SLICE_FILES, "key")
    shown = {key: rows[key][1].strip("`") for key in GATE_KEYS}
    assert shown == {key: _shown(getattr(policy, key)) for key in GATE_KEYS}


def _shown(default: object) -> str:
    return "not judged" if default is None else f"{default:.2f}" if isinstance(default, float) else str(default)


def test_every_generator_is_told_and_no_other() -> None:
    assert rows_of(SLICE_FILES, "generator").keys() == GENERATORS.keys()


def test_every_metric_of_a_slice_is_told_and_no_other() -> None:
    estimates = {field.name for field in fields(SliceStatistics) if field.type in {Estimate, "Estimate"}}
    assert rows_of(STATISTICS, "metric").keys() == estimates
    assert all(f"`{field.name}`" in STATISTICS for field in fields(SliceStatistics)[2:])


def test_the_papers_numbers_are_what_the_code_gives() -> None:
    llama, mistral = TransitionCounts(pp=224, ff=633, pf=83, fp=60), TransitionCounts(pp=198, ff=667, pf=69, fp=66)
    z = two_proportion_z(llama.pf, llama.n, mistral.pf, mistral.n)
    assert z is not None
    balance = abs(mistral.pf - mistral.fp) / sqrt(mistral.unstable)

    assert {name: cells[-1] for name, cells in rows_of(STATISTICS, "quantity").items()} == {
        "stability, Llama 3": f"{llama.stability:.1%}",
        "stability, Mistral": f"{mistral.stability:.1%}",
        "FP16 pass rate, Llama 3": f"{llama.reference_pass_rate:.1%}",
        "4-bit pass rate, Llama 3": f"{llama.candidate_pass_rate:.1%}",
        "FP16 pass rate, Mistral": f"{mistral.reference_pass_rate:.1%}",
        "4-bit pass rate, Mistral": f"{mistral.candidate_pass_rate:.1%}",
        "R, Mistral": f"{robustness_coefficient(mistral.stability, 0.395):.6f}",
        "R, Llama 3": f"{robustness_coefficient(llama.stability, 0.645):.6f}",
        "two-proportion z": f"z = {z.z:.4f}, p = {z.p:.4f}",
        "Cohen's h": f"{cohens_h(83 / 1000, 69 / 1000):.4f}",
        "binomial test, Mistral": f"p = {binomial_exact(mistral.pf, mistral.unstable):.4f}",
        "binomial test, normal approximation": f"p = {erfc(balance / sqrt(2)):.3f}",
        "binomial test, Llama 3": f"p = {binomial_exact(llama.pf, llama.unstable):.4f}",
        "PASS→FAIL rate in the last boundary bin, Mistral": f"{mistral.pf / 634:.1%}",
    }


def test_the_examples_of_tests_of_a_limit_are_what_the_code_gives() -> None:
    changed, noise = [1.0] * 12 + [0.0] * 188, [0.0] * 12 + [1.0] * 2 + [0.0] * 186
    tokens, before, none = [55, 10, 40, 8], [40, 12, 30, 9], [0.0] * 149

    assert {name: cells[-1] for name, cells in rows_of(STATISTICS, "test").items() if cells[-1].startswith("0.")} == {
        "share at most b": f"{p_at_most(9, 200, 0.02):.4f}",
        "share at least b": f"{p_at_least(0, 149, 0.02):.4f}",
        "difference at most b": f"{change_between(changed, noise).p_at_most(0.02):.4f}",
        "difference at least b": f"{change_between(none, none).p_at_least(0.02):.4f}",
        "ratio at most b": f"{p_ratio_at_most(tokens, before, range(4), 1):.4f}",
        "ratio at least b": f"{p_ratio_at_least(tokens, before, range(4), 1):.4f}",
    }


def test_the_share_of_energy_that_principal_directions_hold_is_told_as_it_is() -> None:
    share = f"hold {ENERGY:.0%} of the reference's spectral energy"
    assert share in MEASURES["subspace_rank"].says
    assert share in (DOCS / "diagnosis.md").read_text(encoding="utf-8")


def test_the_limits_of_the_two_failure_modes_are_told_as_they_are() -> None:
    page = (DOCS / "failure-modes.md").read_text(encoding="utf-8")
    told = next(list(rows.values()) for first, rows in tables(page) if first == "criterion")
    assert told == [
        [*(f"at {word} {limit:g}" for word, limit in zip(words, limits, strict=True)), each.section]
        for each in CRITERIA
        for limits in [(each.degradation, each.collapse)]
        for words in [("most", "least") if limits[0] < limits[1] else ("least", "most")]
    ]


def test_the_table_of_what_variants_do_has_a_row_for_each_spec_of_its_command() -> None:
    page = (DOCS / "variants.md").read_text(encoding="utf-8")
    (command,) = (text for text in blocks(page, "sh") if "benchmarks/variants.py" in text)
    *_, rows = (rows for first, rows in tables(page) if first == "spec")
    assert list(rows) == ["fp16", *shlex.split(command.replace("\\\n", ""))[2:]]
