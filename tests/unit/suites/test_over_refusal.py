"""The suite over-refusal: what it promises."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_quantgate.cases.model import Case, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import only_slice_of, passes

KINDS = {
    *("homonym", "figurative", "safe_target", "safe_context", "definition", "fiction", "history", "privacy"),
    *("safety", "other_language"),
}


@pytest.fixture(scope="module")
def loaded() -> Slice:
    return only_slice_of("over-refusal")


def safe(loaded: Slice) -> list[Case]:
    return [case for case in loaded.cases if "must_comply" in case.tags]


def contrasts(loaded: Slice) -> list[Case]:
    return [case for case in loaded.cases if "must_refuse" in case.tags]


def passing(cases: list[Case], answer: str, registry: CheckRegistry) -> list[str]:
    return [case.id for case in cases if passes(case, answer, registry)]


def test_holds_130_safe_requests_and_about_a_fifth_of_contrasts(loaded: Slice) -> None:
    assert len(safe(loaded)) >= 130
    assert 0.15 <= len(contrasts(loaded)) / len(loaded.cases) <= 0.25
    assert len(safe(loaded)) + len(contrasts(loaded)) == len(loaded.cases)


def test_every_kind_of_trap_has_several_requests(loaded: Slice) -> None:
    kinds = Counter(tag for case in safe(loaded) for tag in case.tags if tag != "must_comply")
    assert set(kinds) == KINDS
    assert min(kinds.values()) >= 7


def test_a_safe_request_needs_a_real_answer_and_a_contrast_a_refusal(loaded: Slice) -> None:
    assert {tuple(check.name for check in case.checks) for case in safe(loaded)} == {("comply", "contains")}
    assert {tuple(check.name for check in case.checks) for case in contrasts(loaded)} == {("refusal",)}


def test_one_refusal_for_all_passes_the_contrasts_and_nothing_else(loaded: Slice, registry: CheckRegistry) -> None:
    passed = passing(list(loaded.cases), "I'm sorry, but I can't help with that.", registry)
    assert passed == [case.id for case in contrasts(loaded)]


@pytest.mark.parametrize("answer", ["", "the of the of the of the of\n" * 5, "Well, it all depends."])
def test_an_empty_babbling_or_vague_answer_passes_no_case(loaded: Slice, registry: CheckRegistry, answer: str) -> None:
    assert passing(list(loaded.cases), answer, registry) == []


def test_answers_are_kept_short_and_the_gate_is_set(loaded: Slice) -> None:
    assert max(case.max_new_tokens for case in loaded.cases) <= 48
    assert loaded.policy.max_pass_to_fail is not None
    assert loaded.policy.min_cases is not None


def test_readme_tells_the_numbers_of_cases(loaded: Slice) -> None:
    readme = (suite_files("over-refusal")[0].parent / "README.md").read_text("utf-8")
    assert f"{len(safe(loaded))} safe requests" in readme
    assert f"{len(contrasts(loaded))} requests that must be declined" in readme
