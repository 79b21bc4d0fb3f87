"""What checks foretell of an answer from its beginning: never anything that the whole answer contradicts."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import regex as engine
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import CheckSpec
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.early import is_plain, settled
from pytest_quantgate.checks.finding import Finding, followed, violated
from pytest_quantgate.checks.model import Answer, CheckResult
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.checks.text import regex_decided

Grade = Callable[[str, object, str], CheckResult]

FENCE = "```json\n{}\n```\n"
NTH = {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "one"}
MANY = {"let_frequency": 1, "let_relation": "at least"}

# check, its value in a slice file, the answer so far, what is known of it
KNOWN: list[tuple[str, object, str, bool | None]] = [
    ("exact", "Paris", "Par", None),
    ("exact", "Paris", "The", False),
    ("exact", "Paris", "Paris", None),
    ("exact", {"text": "STRASSE", "ignore_case": True}, "Stra\u00df", None),
    ("one_of", ["yes", "no"], "**Y", None),
    ("one_of", ["yes", "no"], "Well", False),
    ("one_of", ["(a)"], "a", None),
    ("contains", "Paris", "It is Par", None),
    ("contains", "Paris", "It is paris", True),
    ("contains", {"any": ["Rome", "Oslo"]}, "Oslo", True),
    ("contains", {"all": "Paris", "none": "Rome"}, "Paris", None),
    ("contains", {"all": "Paris", "none": "Rome"}, "Rome", False),
    ("regex", r"\d+ km", "about 12 km,", True),
    ("regex", r"\d+ km", "about 12 km", None),
    ("regex", r"km$", "about 12 km,", None),
    ("regex", {"pattern": "yes", "full": True}, "no, no", False),
    ("regex", {"pattern": "yes", "full": True}, " ye", None),
    ("regex", {"pattern": "yes", "full": True}, "yes", None),
    ("regex", {"pattern": "[A-D]", "full": True}, "The", False),
    ("regex", r"^(?:yes|no)\b", "Well", False),
    ("regex", r"^(?:yes|no)\b", "ye", None),
    ("regex", r"^-\bc", "-", None),
    ("regex", r"^a\Bb", "a", None),
    ("regex", r"\byes\b", "yes,", True),
    ("regex", r"\byes\b", "yes", None),
    ("needle", "48213", "It is 48,213 and", True),
    ("needle", "48213", "It is 48213", None),
    ("needle", "48", "It is 48", None),
    ("needle", "red fox", "the red fox", None),
    ("needle", "red fox", "the red fox is", True),
    ("needle", {"text": "48213", "distractors": ["77120"]}, "48213 it", None),
    ("needle", {"text": "48213", "distractors": ["77120"]}, "77120 it", False),
    ("word_count", {"max": 2}, "one two", None),
    ("word_count", {"max": 2}, "one two th", False),
    ("word_count", {"min": 2}, "one two", True),
    ("word_count", {"min": 1, "max": 3}, "one two", None),
    ("word_count", {"exactly": 1}, "one two", False),
    ("line_count", {"max": 1}, "one\ntwo", False),
    ("line_count", {"min": 2}, "one\n", None),
    ("sentence_count", {"max": 1}, "One. Two", False),
    ("sentence_count", {"max": 1}, "One. ", None),
    ("sentence_count", {"max": 1}, "Dr. No", None),
    ("sentence_count", {"max": 1}, "\u4e00\u3002\u4e8c", False),
    ("sentence_count", {"min": 2}, "One! Two", True),
    ("sentence_count", {"min": 2}, "One etc. ", None),
    ("json", None, "not JSON at all", None),
    ("json", None, FENCE, None),
    ("json", None, "```json\n{,}\n```\n", False),
    ("json", None, "```json\n{,}\n```", None),
    ("json", None, "```python\n", False),
    ("json", None, "```python", None),
    ("json", None, f"{FENCE}so\n```\n", False),
    ("json", None, f"{FENCE}so\n```", None),
    ("json_schema", {"type": "object"}, "```\n{,}\n```\n so", False),
    ("yaml", None, FENCE, False),
    ("yaml", None, "```yaml\nword\n```\n", False),
    ("yaml", {"type": "object"}, "```yaml\nword\n```\n", False),
    ("yaml", {"type": "object"}, "```yaml\n- word\n```\n", None),
    ("yaml", None, "word\n", None),
    ("csv", {"columns": {"a": "integer"}}, "```\na\nx\n```\n", False),
    ("csv", {"columns": {"a": "integer"}}, "```\na\n1\n```\n", None),
    ("csv", {"columns": {"a": "integer"}}, "a\nx\n", None),
    ("xml", {"root": "a"}, "```xml\n<b/>\n```\n", False),
    ("xml", {"root": "a"}, "```xml\n<a/>\n```\n", None),
    ("lm_eval_exact_match", {"targets": ["Paris"], "until": ["\n"]}, "Paris\n", True),
    ("lm_eval_exact_match", {"targets": ["Paris"], "until": ["\n"]}, "Rome\n", False),
    ("lm_eval_exact_match", {"targets": ["Paris"], "until": ["\n"]}, "Paris", None),
    ("lm_eval_exact_match", {"targets": ["Paris"]}, "Paris\n", None),
    ("lm_eval_exact_match", {"targets": ["o"], "until": [",cat", "n,"]}, "on,ca", None),
    ("lm_eval_exact_match", {"targets": ["o"], "until": [",cat", "n,"]}, "on,c...", True),
    ("keywords:existence", ["cat"], "a cat", None),
    ("keywords:existence", ["cat"], "a cat is", True),
    ("keywords:existence", {"keywords": ["cat"], "loose": True}, "a cat is", None),
    ("keywords:forbidden_words", ["cat"], "a cat is", False),
    ("keywords:forbidden_words", ["cat"], "a cat", None),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "at least"}, "cat cat is", True),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "less than"}, "cat cat is", False),
    ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "at least"}, "a cat is", True),
    ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "less than"}, "a cat is", False),
    ("keywords:letter_frequency", {"letter": "\u03c2", **MANY}, "\u0391\u03a3", None),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "One. Two", True),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "One. Two", False),
    ("length_constraints:number_paragraphs", 1, "one\n***\ntwo\n", False),
    ("length_constraints:number_paragraphs", 1, "one\n***\ntwo", None),
    ("length_constraints:number_paragraphs", 2, "one\n***\n***\n", False),
    ("length_constraints:nth_paragraph_first_word", NTH, "two cats", False),
    ("length_constraints:nth_paragraph_first_word", NTH, "two", None),
    ("length_constraints:nth_paragraph_first_word", NTH, "one\n\na\n\nb ", False),
    ("length_constraints:nth_paragraph_first_word", NTH, "one\n\na ", None),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "at least"}, "NASA is", True),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, "NASA is", False),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, "NASA", None),
    ("change_case:english_capital", None, "THe", False),
    ("change_case:english_capital", None, "THE", None),
    ("change_case:english_lowercase", None, "thE", False),
    ("change_case:english_lowercase", None, "the", None),
    ("combination:repeat_prompt", "Say it", "say it now", True),
    ("combination:repeat_prompt", "Say it", "Say it", None),
    ("combination:repeat_prompt", "Say it", "Say so now", False),
    ("combination:two_responses", None, "one******two******a", False),
    ("combination:two_responses", None, "one******two******", None),
    ("combination:two_responses", None, "one******two*******", None),
    ("combination:two_responses", None, "one******\n******", False),
    ("combination:two_responses", None, "one******one******", False),
    ("detectable_content:number_placeholders", 1, "[a]", True),
    ("detectable_content:number_placeholders", 1, "[a", None),
    ("detectable_content:postscript", "P.S.", "so P.S. I", True),
    ("detectable_content:postscript", "P.S.", "so P.S.", None),
    ("detectable_format:constrained_response", None, "My answer is yes. My answer is no.", False),
    ("detectable_format:constrained_response", None, "My answer is yes.", None),
    ("detectable_format:json_format", None, "Here", False),
    ("detectable_format:json_format", None, "{", None),
    ("detectable_format:json_format", None, 'json "a"', None),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 1}, "**Part 1", True),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 1}, "**Part ", None),
    ("detectable_format:number_bullet_lists", 1, "* a\n* b\n", False),
    ("detectable_format:number_bullet_lists", 1, "* a\n- -", None),
    ("detectable_format:number_highlighted_sections", 1, "*one*\n", True),
    ("detectable_format:number_highlighted_sections", 1, "*one*", None),
    ("detectable_format:title", None, "<<a>>", True),
    ("detectable_format:title", None, "<<a>", None),
    ("startend:quotation", None, "one", False),
    ("startend:quotation", None, '"one', None),
    ("count:word_count_range", {"min_words": 1, "max_words": 2}, "one two three ", False),
    ("count:word_count_range", {"min_words": 1, "max_words": 2}, "one two three", None),
    ("count:unique_word_count", {"N": 2}, "one two th", True),
    ("count:conjunctions", {"small_n": 1}, "one and two", True),
    ("count:person_names", {"N": 1}, "one Mia is", True),
    ("count:pronouns", {"N": 1}, "they are", True),
    ("count:numbers", {"N": 1}, "1 2 ", False),
    ("count:numbers", {"N": 1}, "1 2", None),
    ("count:punctuation", None, "a. b, c; d: e! f? g?! ", True),
    ("count:punctuation", None, "a. b, c; d: e! f? g?!", None),
    ("count:words_japanese", {"N": 2}, "one two ", False),
    ("format:newline", None, "one two ", False),
    ("format:newline", None, "one two", None),
    ("format:no_whitespace", None, "one two", False),
    ("format:options", {"options": "yes/no"}, "Well", False),
    ("format:options", {"options": "yes/no"}, "(Y", None),
    ("format:options", {"options": "a), b), c)"}, "(a", False),
    ("repeat:repeat_simple", None, "only output that", None),
    ("repeat:repeat_simple", None, "only print that", False),
    ("repeat:repeat_change", {"prompt_to_repeat": "Say it now"}, "Tell it then", None),
    ("repeat:repeat_change", {"prompt_to_repeat": "Say it now"}, "Tell me now", False),
    ("repeat:repeat_span", {"prompt_to_repeat": "Say it now", "n_start": 1, "n_end": 2}, "It then", None),
    ("repeat:repeat_span", {"prompt_to_repeat": "Say it now", "n_start": 1, "n_end": 2}, "Say it", False),
    ("words:alphabet", None, "a c ", False),
    ("words:alphabet", None, "a ca", None),
    ("words:consonants", None, "oo th", False),
    ("words:no_consecutive", None, "an axe ", False),
    ("words:odd_even_syllables", None, "cat dog ", False),
    ("words:palindrome", None, "level " * 10, True),
    ("words:prime_lengths", None, "four th", False),
    ("words:repeats", {"small_n": 1}, "one One ", False),
    ("words:vowel", None, "one\ntwo th", False),
    ("length_constraints:number_words", {"num_words": 2, "relation": "at least"}, "one two", True),
    ("length_constraints:number_words", {"num_words": 2, "relation": "less than"}, "one two", False),
    ("length_constraints:number_words", {"num_words": 0, "relation": "at least"}, "  ", None),
    ("punctuation:no_comma", None, "one, two", False),
    ("punctuation:no_comma", None, "one two", None),
    ("punctuation:no_comma", {"loose": True}, "one, two", None),
]

PIECES = st.sampled_from(
    [
        *("Paris", "Rome", "oslo", "yes", "no", "cat", "red fox", "48213", "48", "12 km", "77120", "```json\n", "```"),
        *("******", "***", "* ", "- ", "-", "\n\n", "Part 1", "P.S. ", "[a]", "<<", ">>", "NASA", "Mia", "level"),
        *("```csv\n", "\n```\n", "<a/>", "! ", "? ", ". ", "etc. ", "Dr. ", "\u3002", "\u0391\u03a3", "only ", "n,"),
        *("My answer is yes.", "My answer is no.", "json", "THE ", "they ", "and ", "Say it ", '"'),
        *(" ", "\n", ",", ".", "**", "{", "}", "{,}", '"a": 1', "one", "\u00df", "\u0301", "\u3042", "\r", "a", "(a)"),
    ]
)
ANSWERS = st.one_of(st.text(st.characters(), max_size=60), st.lists(PIECES, max_size=14).map("".join))


def spec_of(registry: CheckRegistry, name: str, raw: object) -> CheckSpec:
    spec, problems = registry.parse(name, raw)
    assert spec is not None, problems
    return spec


@pytest.mark.parametrize(("name", "raw", "so_far", "known"), KNOWN)
def test_what_is_known_before_the_end(
    registry: CheckRegistry, name: str, raw: object, so_far: str, *, known: bool | None
) -> None:
    assert registry.foretell(spec_of(registry, name, raw), so_far) is known


@settings(max_examples=250, deadline=None)
@given(answer=ANSWERS)
def test_a_whole_answer_is_what_each_of_its_beginnings_foretold(
    registry: CheckRegistry, grade: Grade, answer: str
) -> None:
    for name, raw in {repr((name, raw)): (name, raw) for name, raw, _, _ in KNOWN}.values():
        spec = spec_of(registry, name, raw)
        told = {registry.foretell(spec, answer[:end]) for end in range(len(answer) + 1)} - {None}
        assert told <= {grade(name, raw, answer).followed}, (name, raw)


def test_every_check_that_decides_early_is_tried_here(registry: CheckRegistry) -> None:
    decide = {name for name in registry.names() if registry.may_decide(CheckSpec(name))}
    assert decide == {name for name, *_ in KNOWN}


def test_the_page_on_checks_names_those_that_decide_early(registry: CheckRegistry) -> None:
    page = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")
    section = page.partition("## Checks that decide early\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = {name.strip(" `") for row in rows for name in row.split(",")}
    assert named == {name for name in registry.names() if registry.may_decide(CheckSpec(name))}


@pytest.mark.parametrize(
    "pattern",
    ["yes", r"^\s*yes", r"\b(?:yes|no)\b", r"[A-Z][a-z]+ is", r"\d{4}-\d\d", r"a.c", r"\$\d+", r"[^,\]]+?;", "x{2,}"],
)
def test_a_match_of_a_plain_pattern_stays_one(pattern: str) -> None:
    assert is_plain(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "yes$",
            r"yes\Z",
            "a(?=b)",
            "a(?!b)",
            "(?<=a)b",
            "a++b",
            "a*+b",
            "(?>a|ab)c",
            "(?i)yes",
            r"(a)\1",
            "(?P<n>a)",
        ),
        *("(a+)+b", "(a|ab)*c", "a*b*c", "a?b?c", r"\p{L}", r"\Kx", "[[a]--b]", "(?:yes){e<=1}", "a{1,2}{3}", r"\X"),
    ],
)
def test_what_could_be_undone_or_take_long_is_not_plain(pattern: str) -> None:
    assert not is_plain(pattern)


PATTERNS = st.tuples(
    st.lists(
        st.sampled_from(["^", "a", "b", "-", "ab", ".", r"\w", "[ab]", "[^a]", r"\b", r"\B", "|", "(?:a|b)", "(b)"]),
        max_size=6,
    ),
    st.sampled_from(["", "a*", "[ab]+", ".?", "b{2}", r"-{1,2}?"]),
    st.lists(st.sampled_from(["a", "b", "-", "|", r"\b"]), max_size=3),
).map(lambda parts: "".join([*parts[0], parts[1], *parts[2]]))


def _compiled(pattern: str) -> Any:
    with contextlib.suppress(engine.error):
        return engine.compile(pattern)
    return None


@settings(max_examples=300, deadline=None)
@given(pattern=PATTERNS.filter(lambda each: is_plain(each) and _compiled(each)), text=st.text("ab-", max_size=4))
def test_a_plain_pattern_that_cannot_match_any_more_matches_in_no_longer_text(pattern: str, text: str) -> None:
    compiled = _compiled(pattern)
    longer = [f"{text}{''.join(more)}" for length in range(5) for more in itertools.product("ab-", repeat=length)]
    if regex_decided(text, pattern=pattern) is False:
        assert not any(map(compiled.search, longer))
    if regex_decided(text, pattern=pattern, full=True) is False:
        assert not any(map(compiled.fullmatch, longer))


def test_what_is_settled_ends_in_white_space() -> None:
    assert (settled("a cat is"), settled("cat"), settled("a\n"), settled("")) == ("a cat ", "", "a\n", "")


def test_a_check_of_a_plugin_foretells_what_it_does_not_contradict_itself(registry: CheckRegistry) -> None:
    known = builtin_registry()

    def short(answer: str, *, most_: int) -> Finding:
        return followed("short") if len(answer) <= most_ else violated("long")

    def told(so_far: str, *, most_: int) -> bool | None:
        return False if len(so_far) > most_ else None

    def fails(_so_far: str) -> bool | None:
        raise ValueError

    known.register("mine:short", short, decided=told)
    spec = CheckSpec("mine:short", {"most": 3})
    assert known.may_decide(spec)
    assert known.foretell(spec, "abcd") is False
    known.register("mine:contradicts", violated, decided=lambda _: True)
    assert known.foretell(CheckSpec("mine:contradicts"), "a") is None
    known.register("mine:fails", violated, decided=fails)
    assert known.foretell(CheckSpec("mine:fails"), "a") is None
    assert registry.foretell(CheckSpec("mine:short", {"most": 3}), "abcd") is None


def test_a_check_that_wants_more_than_the_text_cannot_decide_early() -> None:
    def ended(answer: str, *, full_answer: Answer) -> Finding:
        return followed(f"{answer} {full_answer.finish_reason}")

    with pytest.raises(TypeError, match=r"check 'mine:ended': .*full_answer cannot be decided early"):
        CheckRegistry().register("mine:ended", ended, decided=lambda _: None)
