"""The suite `structured`: what its slices promise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from pytest_quantgate.cases.model import Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import passes, slices_of

GENERATED = ("structured-flat", "structured-composite")
WRITTEN = ("structured-other", "tool-calls")


@pytest.fixture(scope="module")
def suite() -> dict[str, Slice]:
    return slices_of("structured")


def test_the_suite_has_these_slices_with_cases_for_a_verdict(suite: dict[str, Slice]) -> None:
    assert set(suite) == {*GENERATED, *WRITTEN}
    assert min(len(suite[name].cases) for name in GENERATED) >= 120
    assert min(len(suite[name].cases) for name in WRITTEN) >= 60


def test_flat_cases_are_flat_and_composite_ones_go_down_to_five_levels(suite: dict[str, Slice]) -> None:
    levels = {
        name: Counter(tag for case in suite[name].cases for tag in case.tags if tag.startswith("depth_"))
        for name in GENERATED
    }
    assert set(levels["structured-flat"]) == {"depth_1"}
    assert levels["structured-composite"] == dict.fromkeys(["depth_2", "depth_3", "depth_4", "depth_5"], 32)


def test_written_slices_cover_their_kinds(suite: dict[str, Slice]) -> None:
    kinds = {name: Counter(tag for case in suite[name].cases for tag in case.tags) for name in WRITTEN}
    assert min(kinds["structured-other"][kind] for kind in ("yaml", "csv", "xml")) >= 20
    assert kinds["tool-calls"]["parallel"] + kinds["tool-calls"]["ordered"] >= 10
    assert kinds["tool-calls"]["none"] >= 10
    assert kinds["tool-calls"]["single"] >= 30


@pytest.mark.parametrize("name", [*GENERATED, *WRITTEN])
def test_trivial_answers_pass_no_case(name: str, suite: dict[str, Slice], registry: CheckRegistry) -> None:
    for answer in ("", "the of the of the of the of\n" * 5, "{}", "I cannot help with that."):
        assert [case.id for case in suite[name].cases if passes(case, answer, registry)] == []
    assert [case.id for case in suite[name].cases if passes(case, case.prompt, registry)] == []


def damaged(text: str) -> Iterator[str]:
    """One right answer, broken as models break them."""
    value = json.loads(text)
    first = next(iter(value))
    yield text[:-1]
    yield f"{text}}}"
    yield json.dumps({"data": value})
    yield json.dumps({key: item for key, item in value.items() if key != first})
    yield json.dumps({**value, "more": 1})
    yield json.dumps({**value, first: [value[first]]})


@pytest.mark.parametrize("name", GENERATED)
def test_only_the_stated_facts_pass(name: str, suite: dict[str, Slice], registry: CheckRegistry) -> None:
    for case in suite[name].cases[::3]:
        right = json.dumps(case.checks[0].arguments["schema"]["const"])
        assert passes(case, right, registry)
        assert passes(case, f"```json\n{json.dumps(json.loads(right), indent=2)}\n```", registry)
        assert [text for text in damaged(right) if passes(case, text, registry)] == []
        examples = [message.content for message in case.messages if message.role == "assistant"]
        assert [text for text in examples if text != right and passes(case, text, registry)] == []


def test_half_of_each_slice_is_easy_enough_for_a_small_model(suite: dict[str, Slice]) -> None:
    shares = {name: sum("shown" in case.tags for case in suite[name].cases) / len(suite[name].cases) for name in suite}
    assert min(shares.values()) >= 0.35
    assert shares["structured-flat"] >= 0.6


def test_answers_are_kept_short(suite: dict[str, Slice]) -> None:
    assert max(case.max_new_tokens for name in WRITTEN for case in suite[name].cases) <= 96
    assert max(case.max_new_tokens for name in GENERATED for case in suite[name].cases) <= 256


def test_readme_tells_of_every_slice(suite: dict[str, Slice]) -> None:
    (folder,) = {path.parent for path in suite_files("structured")}
    readme = (folder / "README.md").read_text("utf-8")
    assert [name for name in suite if f"`{name}`" not in readme] == []
