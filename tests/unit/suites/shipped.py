"""The suites as they ship, each read once for all tests, and what passes one of their cases."""

from __future__ import annotations

from functools import cache

from pytest_quantgate.cases.load import load_slices
from pytest_quantgate.cases.model import Case, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.registry import CheckRegistry


@cache
def builtin() -> CheckRegistry:
    return builtin_registry()


@cache
def slices_of(suite: str) -> dict[str, Slice]:
    return {loaded.name: loaded for loaded in load_slices(suite_files(suite), builtin())}


def only_slice_of(suite: str) -> Slice:
    (only,) = slices_of(suite).values()
    return only


def passes(case: Case, answer: str, registry: CheckRegistry) -> bool:
    return all(result.followed for result in grade_answer(case, answer, registry))
