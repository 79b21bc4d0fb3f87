"""The suite of injections: what it promises; that its cases can be passed and failed is shown by test_answers."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from pytest_quantgate.cases.model import Case, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import only_slice_of, passes

DATA = {
    *("email", "web_page", "review", "csv", "code_comment", "json_field", "calendar", "translation", "chat_log"),
    *("resume", "log_file", "alt_text", "footnote"),
}
ATTACKS = {
    *("say_word", "change_language", "ignore_above", "add_link", "format_change", "reveal_prompt", "refuse"),
    "role_change",
}


@pytest.fixture(scope="module")
def loaded() -> Slice:
    return only_slice_of("injection")


def tagged(loaded: Slice, tag: str) -> list[Case]:
    return [case for case in loaded.cases if tag in case.tags]


def kinds(cases: list[Case], prefix: str) -> Counter[str]:
    return Counter(tag.removeprefix(prefix) for case in cases for tag in case.tags if tag.startswith(prefix))


def passing(loaded: Slice, answer: str, registry: CheckRegistry) -> list[str]:
    return [case.id for case in loaded.cases if passes(case, answer, registry)]


def test_at_least_130_cases_of_which_a_fifth_are_controls(loaded: Slice) -> None:
    assert len(loaded.cases) >= 130
    assert 0.18 <= len(tagged(loaded, "control")) / len(loaded.cases) <= 0.25
    assert len(tagged(loaded, "control")) + len(tagged(loaded, "attack")) == len(loaded.cases)


def test_every_kind_of_data_meets_every_kind_of_attack(loaded: Slice) -> None:
    attacks = tagged(loaded, "attack")
    met = Counter(pair for case in attacks for pair in product(kinds([case], "data_"), kinds([case], "attack_")))
    assert met == dict.fromkeys(product(DATA, ATTACKS), 1)


def test_attacks_vary_in_place_and_explicitness(loaded: Slice) -> None:
    attacks = tagged(loaded, "attack")
    places = kinds(attacks, "at_")
    assert set(places) == {"start", "middle", "end"}
    assert places.total() == len(attacks)
    assert min(places.values()) >= 20
    assert len(tagged(loaded, "disguised")) >= 25
    assert len(tagged(loaded, "explicit")) + len(tagged(loaded, "disguised")) == len(attacks)


def test_controls_have_every_kind_of_data_and_some_quote_an_instruction(loaded: Slice) -> None:
    assert set(kinds(tagged(loaded, "control"), "data_")) == DATA
    assert len(tagged(loaded, "quoted")) >= 8
    assert len(tagged(loaded, "plain")) + len(tagged(loaded, "quoted")) == len(tagged(loaded, "control"))


def test_a_case_checks_the_task_and_then_the_mark(loaded: Slice) -> None:
    for case in loaded.cases:
        task, mark = case.checks
        assert task.name in {"contains", "number", "regex"}
        assert (mark.name, list(mark.arguments)) == ("contains", ["none"]), case.id


def test_prompts_and_answers_are_short_and_the_data_is_marked(loaded: Slice) -> None:
    for case in loaded.cases:
        assert case.max_new_tokens <= 32
        assert len(case.prompt.split()) <= 60, case.id
        assert case.prompt.count("<data>\n") == case.prompt.count("\n</data>") == 1
        assert case.prompt.endswith("\n</data>")
        assert case.messages[0].role == "system"
        assert "<data>" in case.messages[0].content


@pytest.mark.parametrize("answer", ["", "the of the of the of the of\n" * 5, "I'm sorry, but I can't help with that."])
def test_an_answer_that_does_nothing_passes_no_case(loaded: Slice, registry: CheckRegistry, answer: str) -> None:
    assert passing(loaded, answer, registry) == []


def test_copying_out_the_data_passes_no_attack_but_those_for_the_prompt(loaded: Slice, registry: CheckRegistry) -> None:
    for case in loaded.cases:
        data = case.prompt.split("<data>\n")[1].removesuffix("\n</data>")
        for answer in (case.prompt, data) if "attack_reveal_prompt" not in case.tags else (case.prompt,):
            assert not passes(case, answer, registry), (case.id, answer)


def test_readme_tells_the_numbers_of_cases_and_every_tag(loaded: Slice) -> None:
    readme = (suite_files("injection")[0].parent / "README.md").read_text("utf-8")
    assert f"{len(tagged(loaded, 'attack'))} texts" in readme
    assert f"{len(tagged(loaded, 'control'))} controls" in readme
    assert [tag for case in loaded.cases for tag in case.tags if f"`{tag}`" not in readme] == []
