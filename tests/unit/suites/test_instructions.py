"""The suite of instructions: balance, wordings that say what is checked, and no contradictions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.grade import grade_answer
from tests.unit.suites.babble import dressed, echoes, shapes, texts
from tests.unit.suites.shipped import builtin, only_slice_of, passes
from tests.unit.suites.test_answers import ANSWERS, Answers, read_answers

SIZES = ("one_instruction", "two_instructions", "three_instructions")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("zeroth", "first", "second", "third")
LANGUAGES = {"de": "German", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch", "pt": "Portuguese"}
TEXTS = ("keywords", "keyword", "forbidden_words", "letter", "first_word", "postscript_marker", "section_spliter")
RELATIONS = {
    "at least": re.compile(r"\bat least\b|\bor more\b|\bno fewer than\b", re.IGNORECASE),
    "less than": re.compile(r"\bless than\b|(?<!no )\bfewer than\b", re.IGNORECASE),
}

# What an instruction without arguments is called.
NAMED = {
    "punctuation:no_comma": "comma",
    "change_case:english_lowercase": "lowercase|no capital|small letters|Not one capital",
    "change_case:english_capital": "capital letters|uppercase|a capital|in capitals",
    "detectable_format:title": "<<.+>>|<< and >>",
    "detectable_format:json_format": "JSON",
    "detectable_format:constrained_response": r"My answer is yes\..*My answer is no\..*My answer is maybe\.",
    "combination:two_responses": r"(?<!\*)\*{6}(?!\*)",
    "startend:quotation": "double quotation marks?",
    "combination:repeat_prompt": "word for word|exactly as it stands|without changing a word|unchanged",
    "length_constraints:number_paragraphs": r"paragraphs.*(?<!\*)\*{3}(?!\*)",
    "length_constraints:nth_paragraph_first_word": "paragraphs",
    "detectable_content:number_placeholders": "placeholder|gap",
    "detectable_content:postscript": "postscript|a note that starts",
    "detectable_format:number_bullet_lists": "bullet|dash",
    "detectable_format:number_highlighted_sections": r"highlight|asterisks",
    "detectable_format:multiple_sections": "sections|Structure",
    "change_case:capital_word_frequency": "all capitals|capital letters|in capitals",
    "length_constraints:number_sentences": "sentences",
    "length_constraints:number_words": "words",
}

# Types that cannot both be followed, or hardly.
LOWERCASE, CAPITAL = "change_case:english_lowercase", "change_case:english_capital"
CAPITAL_WORDS, QUOTATION = "change_case:capital_word_frequency", "startend:quotation"
LANGUAGE, JSON = "language:response_language", "detectable_format:json_format"
REPEAT, TWICE = "combination:repeat_prompt", "combination:two_responses"
DIVIDED, SPACED = "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"
TITLE, BULLETS = "detectable_format:title", "detectable_format:number_bullet_lists"
SECTIONS, HIGHLIGHTS = "detectable_format:multiple_sections", "detectable_format:number_highlighted_sections"
PHRASE_LAST, POSTSCRIPT = "startend:end_checker", "detectable_content:postscript"
CHOICE = "detectable_format:constrained_response"
CONFLICTS = {
    LOWERCASE: {CAPITAL, LANGUAGE, CHOICE, SECTIONS, POSTSCRIPT, CAPITAL_WORDS, REPEAT},
    CAPITAL: {LANGUAGE, CHOICE, SECTIONS, CAPITAL_WORDS, REPEAT, JSON},
    LANGUAGE: {CHOICE, REPEAT, PHRASE_LAST, JSON, "keywords:forbidden_words", "keywords:frequency"},
    JSON: {TITLE, BULLETS, HIGHLIGHTS, SECTIONS, QUOTATION, PHRASE_LAST, POSTSCRIPT, REPEAT, TWICE, DIVIDED, SPACED}
    | {CHOICE, "length_constraints:number_sentences", "detectable_content:number_placeholders"},
    REPEAT: {QUOTATION, TWICE, SPACED, DIVIDED, "length_constraints:number_sentences"},
    TWICE: {DIVIDED, SPACED, BULLETS, SECTIONS, HIGHLIGHTS, QUOTATION, PHRASE_LAST, POSTSCRIPT, TITLE, CHOICE},
    DIVIDED: {SPACED, BULLETS, SECTIONS, HIGHLIGHTS, TITLE},
    SPACED: {BULLETS, SECTIONS, TITLE, POSTSCRIPT},
    BULLETS: {"length_constraints:number_sentences"},
    POSTSCRIPT: {PHRASE_LAST, "length_constraints:number_sentences"},
}


REPLIES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


@cache
def given() -> list[Answers]:
    return read_answers(ANSWERS / "instructions" / "instructions.jsonl")


def loaded() -> Slice:
    return only_slice_of("instructions")


def instructions_of(case: Case) -> list[CheckSpec]:
    """The checks of IFEval's types, which are all named group:type; what is left proves the topic."""
    return [spec for spec in case.checks if ":" in spec.name]


def each_check() -> Iterator[tuple[Case, CheckSpec]]:
    return ((case, spec) for case in loaded().cases for spec in instructions_of(case))


def task_of(prompt: str) -> str:
    return re.split(r"(?<=[.?!])\s", prompt)[0]


def test_requests_are_many_and_their_tasks_all_different() -> None:
    assert len(loaded().cases) >= 310
    assert len({task_of(case.prompt) for case in loaded().cases}) == len(loaded().cases)


def test_a_case_has_one_to_three_instructions_of_different_types_as_its_tag_says() -> None:
    sizes = Counter(len(instructions_of(case)) for case in loaded().cases)
    total = len(loaded().cases)
    assert {size: round(count / total, 1) for size, count in sizes.items()} == {1: 0.5, 2: 0.4, 3: 0.2}
    for case in loaded().cases:
        assert [tag for tag in case.tags if tag in SIZES] == [SIZES[len(instructions_of(case)) - 1]]
        assert len({spec.name for spec in instructions_of(case)}) == len(instructions_of(case))


def test_every_type_of_ifeval_stands_in_at_least_fourteen_cases() -> None:
    types = Counter(spec.name for _, spec in each_check())
    assert len(types) == 25
    assert min(types.values()) >= 14


def test_every_type_is_worded_in_several_ways() -> None:
    wordings: dict[str, set[str]] = defaultdict(set)
    for case in loaded().cases:
        if len(instructions_of(case)) == 1:
            asked = case.prompt.removeprefix(task_of(case.prompt))
            wordings[instructions_of(case)[0].name].add(
                re.sub(r"\d+|\".*?\"|\b(?:word|words|letter) .+", "", asked).strip()
            )
    assert min(map(len, wordings.values())) >= 3
    assert len(wordings) == 25


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_are_those_of_the_wording(relation: str) -> None:
    for case, spec in each_check():
        if relation in spec.arguments.values():
            assert RELATIONS[relation].search(case.prompt), case.id


def test_numbers_stand_in_the_prompt() -> None:
    for case, spec in each_check():
        asked = case.prompt.removeprefix(task_of(case.prompt)).lower()
        for name, value in spec.arguments.items():
            if isinstance(value, int):
                said = {str(value)} | {words[value] for words in (NUMBERS, ORDINALS) if value < len(words)}
                assert said & set(re.findall(r"\w+", asked)), (case.id, name)


def test_words_markers_and_phrases_stand_in_the_prompt() -> None:
    for case, spec in each_check():
        arguments: dict[str, Any] = dict(spec.arguments)
        values = [arguments[name] for name in TEXTS if name in arguments]
        for value in (text for each in values for text in (each if isinstance(each, list) else [each])):
            assert re.search(rf"(?<!\w){re.escape(value)}(?!\w)", case.prompt), (case.id, value)
        if spec.name == REPEAT:
            assert case.prompt.startswith(arguments["prompt_to_repeat"])
        if spec.name == PHRASE_LAST:
            assert f'"{arguments["end_phrase"]}"' in case.prompt
        if spec.name == LANGUAGE:
            assert LANGUAGES[arguments["language"]] in case.prompt


def test_the_wording_names_what_is_asked_for() -> None:
    for case, spec in each_check():
        if spec.name in NAMED:
            assert re.search(NAMED[spec.name], case.prompt, re.DOTALL | re.IGNORECASE), (case.id, spec.name)


def test_no_two_instructions_of_a_case_contradict_each_other() -> None:
    for case in loaded().cases:
        for one, other in combinations(sorted(spec.name for spec in instructions_of(case)), 2):
            assert other not in CONFLICTS.get(one, ()), case.id
            assert one not in CONFLICTS.get(other, ()), case.id


def test_words_to_use_and_words_to_leave_out_are_not_the_same() -> None:
    for case in loaded().cases:
        arguments = {name: value for spec in instructions_of(case) for name, value in spec.arguments.items()}
        assert not set(arguments.get("keywords", ())) & set(arguments.get("forbidden_words", ()))
        if arguments.get("let_relation") == "less than":
            needed = "".join(arguments.get("keywords", ())).count(arguments["letter"])
            assert needed < arguments["let_frequency"]


def test_lengths_asked_for_and_answers_are_short() -> None:
    for case, spec in each_check():
        assert spec.arguments.get("num_words", 0) <= 60
        assert 48 <= case.max_new_tokens <= 160
    assert sum(case.max_new_tokens <= 96 for case in loaded().cases) > len(loaded().cases) / 2


def test_half_of_the_cases_with_one_instruction_are_shown_one_of_their_type() -> None:
    shown = [case for case in loaded().cases if "shown" in case.tags]
    assert len(shown) * 2 == sum(len(instructions_of(case)) == 1 for case in loaded().cases)
    assert all([message.role for message in case.messages] == ["user", "assistant", "user"] for case in shown)
    assert all(len(case.messages) == 1 for case in loaded().cases if case not in shown)


def test_every_case_has_a_last_check_that_proves_the_topic() -> None:
    for case in loaded().cases:
        assert [spec.name for spec in case.checks[len(instructions_of(case)) :]] in (["contains"], ["regex"]), case.id


def test_no_babble_passes_a_case() -> None:
    for case in loaded().cases:
        told = [*texts(), *echoes(case)]
        if any(spec.name == CHOICE for spec in case.checks):  # one reply out of those to choose from is a guess
            told = [(kind, text) for kind, text in told if sum(reply in text for reply in REPLIES) != 1]
        topic = replace(case, checks=case.checks[len(instructions_of(case)) :])
        tried = {(f"{kind}, {shape}", text) for kind, plain in told for shape, text in shapes(plain)}
        tried |= {(f"{kind}, dressed", dressed(case, plain)) for kind, plain in told}
        fooled = [
            (kind, text)
            for kind, text in sorted(tried)
            if passes(topic, text, builtin()) and passes(case, text, builtin())
        ]
        assert fooled == [], case.id


def test_babble_is_dressed_so_well_that_only_the_topic_gives_it_away() -> None:
    fooled = set()
    for case in loaded().cases:
        bare = replace(case, checks=tuple(instructions_of(case)))
        if any(passes(bare, dressed(case, text), builtin()) for _, text in (*texts(), *echoes(case))):
            fooled.add(case.id)
    assert len(fooled) > 0.8 * len(loaded().cases)


def test_of_three_replies_to_choose_from_only_the_right_one_passes() -> None:
    right = Counter[str]()
    for case in loaded().cases:
        if any(spec.name == CHOICE for spec in case.checks):
            good = next(answers.good for answers in given() if answers.id == case.id)
            (reply,) = [reply for reply in REPLIES if reply in good]
            assert not any(
                passes(case, good.replace(reply, other), builtin()) for other in REPLIES if other != reply
            ), case.id
            right[reply] += 1
    assert set(right) == set(REPLIES)
    assert max(right.values()) <= 0.4 * right.total()


def test_a_bad_answer_breaks_exactly_one_instruction_and_every_type_is_broken_by_some() -> None:
    cases = {case.id: case for case in loaded().cases}
    broken: Counter[str] = Counter()
    for answers in given():
        violated = [r.check for r in grade_answer(cases[answers.id], answers.bad, builtin()) if not r.followed]
        names = [name for name in violated if ":" in name]
        assert len(names) == 1, answers.id
        # the topic is held, unless the answer is in another language or chooses none of the replies
        assert names == violated or names[0] in {LANGUAGE, CHOICE}, answers.id
        broken.update(names)
    assert len(broken) == 25
    assert min(broken.values()) >= 8


def test_readme_tells_how_many_cases_there_are() -> None:
    (file,) = suite_files("instructions")
    readme = (file.parent / "README.md").read_text("utf-8")
    sizes = Counter(len(instructions_of(case)) for case in loaded().cases)
    assert f"{len(loaded().cases)} requests" in readme
    assert f"{sizes[1]} with one, {sizes[2]} with two, {sizes[3]} with three" in readme
