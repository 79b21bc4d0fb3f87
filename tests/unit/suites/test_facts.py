"""The suite of facts: what its slice promises."""

from __future__ import annotations

import pytest

from pytest_quantgate.cases.generators.facts import relations
from pytest_quantgate.cases.model import Case
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.generation.completion import Request
from tests.unit.suites.shipped import only_slice_of


@pytest.fixture(scope="module")
def cases() -> tuple[Case, ...]:
    return only_slice_of("facts").cases


def test_at_least_three_hundred_facts_of_every_relation_in_three_phrasings(cases: tuple[Case, ...]) -> None:
    assert len({case.cluster for case in cases}) >= 300
    assert len(cases) >= 900
    assert {tag for case in cases for tag in case.tags} == set(relations())


def test_a_case_is_begun_and_asks_for_one_token_and_its_rank(cases: tuple[Case, ...]) -> None:
    for case in cases:
        assert case.answer_prefix
        assert case.max_new_tokens == 1
        assert Request.of(case).recall


def test_its_readme_tells_of_every_relation() -> None:
    (file,) = suite_files("facts")
    readme = (file.parent / "README.md").read_text("utf-8")
    assert [name for name in relations() if f"`{name}`" not in readme] == []
