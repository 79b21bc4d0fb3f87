"""What checks foretell of an answer from its beginning: never anything that the whole answer contradicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import CheckSpec
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.early import is_plain, settled
from pytest_quantgate.checks.finding import Finding, followed, violated
from pytest_quantgate.checks.model import Answer, CheckResult
from pytest_quantgate.checks.registry import CheckRegistry

Grade = Callable[[str, object, str], CheckResult]

FENCE = "```json\n{}\n```\n"

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
    ("regex", {"pattern": "yes", "full": True}, "no, no", None),
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
    ("json", None, "not JSON at all", None),
    ("json", None, FENCE, None),
    ("json", None, "```json\n{,}\n```\n", False),
    ("json", None, "```json\n{,}\n```", None),
    ("json_schema", {"type": "object"}, "```\n{,}\n```\n so", False),
    ("keywords:existence", ["cat"], "a cat", None),
    ("keywords:existence", ["cat"], "a cat is", True),
    ("keywords:existence", {"keywords": ["cat"], "loose": True}, "a cat is", None),
    ("keywords:forbidden_words", ["cat"], "a cat is", False),
    ("keywords:forbidden_words", ["cat"], "a cat", None),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "at least"}, "cat cat is", True),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "less than"}, "cat cat is", False),
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


@settings(max_examples=400, deadline=None)
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
