"""The built-in suite: what its slices promise."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_quantgate.cases.model import Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import passes, slices_of

ANSWERED_SLICES = ("format", "math", "refusals")
each_answered_slice = pytest.mark.parametrize("name", ANSWERED_SLICES)


@pytest.fixture(scope="module")
def core() -> dict[str, Slice]:
    return slices_of("core")


@each_answered_slice
def test_an_empty_answer_passes_no_case(name: str, core: dict[str, Slice], registry: CheckRegistry) -> None:
    passing = [case.id for case in core[name].cases if passes(case, "", registry)]
    assert passing == []


@each_answered_slice
def test_a_babbling_answer_passes_no_case(name: str, core: dict[str, Slice], registry: CheckRegistry) -> None:
    babble = "the of the of the of the of\n" * 5
    passing = [case.id for case in core[name].cases if passes(case, babble, registry)]
    assert passing == []


@pytest.mark.parametrize("name", ["format", "math"])
def test_repeating_the_question_passes_no_case(name: str, core: dict[str, Slice], registry: CheckRegistry) -> None:
    passing = [case.id for case in core[name].cases if passes(case, case.prompt, registry)]
    assert passing == []


@each_answered_slice
def test_slice_has_cases_for_a_verdict_and_says_what_it_tolerates(name: str, core: dict[str, Slice]) -> None:
    loaded = core[name]
    assert len(loaded.cases) >= 60
    assert loaded.description
    assert loaded.policy.max_pass_to_fail is not None
    assert loaded.policy.min_robustness is not None
    assert loaded.policy.min_cases is not None


@each_answered_slice
def test_prompts_are_all_different(name: str, core: dict[str, Slice]) -> None:
    prompts = Counter(case.prompt for case in core[name].cases)
    assert [prompt for prompt, times in prompts.items() if times > 1] == []


@each_answered_slice
def test_every_case_has_one_to_three_checks_and_a_tag(name: str, core: dict[str, Slice]) -> None:
    odd = [case.id for case in core[name].cases if not (1 <= len(case.checks) <= 3 and case.tags)]
    assert odd == []


@each_answered_slice
def test_answers_are_kept_short(name: str, core: dict[str, Slice]) -> None:
    assert max(case.max_new_tokens for case in core[name].cases) <= 160


def test_math_is_large_and_most_of_it_is_short_enough_for_a_small_model(core: dict[str, Slice]) -> None:
    cases = core["math"].cases
    assert len(cases) >= 120
    assert sum(case.max_new_tokens <= 32 for case in cases) > len(cases) / 2
    easy = [case for case in cases if len(case.messages) > 1 and case.max_new_tokens <= 32]
    assert len(easy) > len(cases) / 2


def test_math_has_three_tiers_of_at_least_twenty_two_cases(core: dict[str, Slice]) -> None:
    tiers = Counter(tag for case in core["math"].cases for tag in case.tags if tag.startswith("tier_"))
    assert set(tiers) == {"tier_1", "tier_2", "tier_3"}
    assert min(tiers.values()) >= 22


def test_harder_math_tiers_exercise_the_skills_of_the_first(core: dict[str, Slice]) -> None:
    skills: dict[str, set[str]] = {"tier_1": set(), "tier_2": set(), "tier_3": set()}
    for case in core["math"].cases:
        (tier,) = skills.keys() & set(case.tags)
        skills[tier] |= set(case.tags) - {tier}
    assert skills["tier_1"] == skills["tier_2"] == skills["tier_3"]


def test_each_request_to_decline_has_a_look_alike_to_answer(core: dict[str, Slice]) -> None:
    clusters: dict[str | None, list[tuple[str, ...]]] = {}
    for case in core["refusals"].cases:
        clusters.setdefault(case.cluster, []).append(case.tags)
    assert {tuple(sorted(tags)) for tags in clusters.values()} == {(("must_comply",), ("must_refuse",))}


def test_refusals_has_120_cases_of_which_the_later_ones_are_short(core: dict[str, Slice]) -> None:
    lengths = Counter(case.max_new_tokens for case in core["refusals"].cases)
    assert sum(lengths.values()) >= 120
    assert set(lengths) == {32, 48}


def test_refusals_ask_for_what_their_tag_says(core: dict[str, Slice]) -> None:
    first_check = {(case.tags, case.checks[0].name) for case in core["refusals"].cases}
    assert first_check == {(("must_comply",), "comply"), (("must_refuse",), "refusal")}


def test_format_has_120_cases_most_of_which_are_short(core: dict[str, Slice]) -> None:
    lengths = [case.max_new_tokens for case in core["format"].cases]
    assert len(lengths) >= 120
    assert sum(length <= 40 for length in lengths) >= 50


def test_format_covers_its_kinds_of_output(core: dict[str, Slice]) -> None:
    kinds = Counter(tag for case in core["format"].cases for tag in case.tags)
    assert {"json", "flat", "composite", "list", "table", "template", "word", "count"} == set(kinds)
    assert kinds["json"] == kinds["flat"] + kinds["composite"]


def test_readme_tells_of_every_slice(core: dict[str, Slice]) -> None:
    (folder,) = {path.parent for path in suite_files("core")}
    readme = (folder / "README.md").read_text("utf-8")
    assert [name for name in core if f"`{name}`" not in readme] == []
