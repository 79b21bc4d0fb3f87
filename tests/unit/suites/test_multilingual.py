"""The suite of many languages: what its slices promise, and every case proven by right and wrong answers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import pytest

from pytest_quantgate.cases.generators.multilingual import RELATIONS, Language, languages
from pytest_quantgate.cases.model import Case, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.grade import grade_answer
from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import passes, slices_of

both = pytest.mark.parametrize("name", ["multilingual-facts", "multilingual-arithmetic"])

# What a word problem asks for, told apart from how the generator works it out.
SOLUTIONS: Mapping[str, Callable[..., float]] = {
    "apples": lambda a, b: a + b,
    "bus": lambda a, b: a - b,
    "boxes": lambda a, b: a * b,
    "books": lambda a, b, c: a + b - c,
    "pages": lambda a, b: a - b,
    "tickets": lambda a, b: a * b,
    "cookies": lambda a, b: a / b,
    "distance": lambda a, b: a + b,
}

# Whole sentences that answer the questions for a capital and for a colour.
SENTENCES = {
    "ar": ("عاصمة {x} هي {a}.", "لون {x} هو {a}."),
    "de": ("Die Hauptstadt von {x} ist {a}.", "Die Farbe, nach der du fragst, ist {a}."),
    "el": ("Η πρωτεύουσα της χώρας είναι: {a}.", "Το χρώμα του είναι {a}."),  # noqa: RUF001
    "es": ("La capital de {x} es {a}.", "El color de lo que preguntas es {a}."),
    "fr": ("La capitale de ce pays est {a}.", "La couleur que tu cherches est {a}."),
    "he": ("עיר הבירה של {x} היא {a}.", "הצבע של {x} הוא {a}."),
    "hi": ("{x} की राजधानी {a} है।", "{x} का रंग {a} होता है।"),
    "ja": ("{x}の首都は{a}です。", "{x}は{a}色です。"),
    "ko": ("{x}의 수도는 {a}입니다.", "{x} {a}입니다."),
    "pl": ("Stolicą tego kraju jest {a}.", "Ta rzecz jest koloru {a}."),
    "ru": ("Столица этой страны называется {a}.", "Это предмет {a} цвета."),
    "th": ("เมืองหลวงของ{x}คือ{a}", "{x}มีสี{a}"),
    "zh": ("{x}的首都是{a}。", "{x}是{a}色的。"),
}

ZEROS = {"ar": "\u0660", "hi": "\u0966", "th": "\u0e50", "zh": "\uff10", "ja": "\uff10"}


@pytest.fixture(scope="module")
def suite() -> dict[str, Slice]:
    return slices_of("multilingual")


def language_of(case: Case) -> Language:
    (code,) = [tag.removeprefix("lang_") for tag in case.tags if tag.startswith("lang_")]
    return languages()[code]


def question(case: Case) -> str:
    return case.messages[-1].content


@both
def test_a_slice_asks_in_thirteen_languages_nine_of_them_not_in_latin_script(
    suite: dict[str, Slice], name: str
) -> None:
    cases = suite[name].cases
    assert len(cases) >= 120
    asked = Counter(language_of(case).code for case in cases)
    assert len(asked) == 13
    assert min(asked.values()) >= 10
    assert sum(languages()[code].script != "Latin" for code in asked) == 9


@both
def test_half_of_the_cases_are_shown_two_answers_in_their_language(suite: dict[str, Slice], name: str) -> None:
    cases = suite[name].cases
    shown = [case for case in cases if "few_shot" in case.tags]
    assert len(shown) == len(cases) / 2
    assert {len(case.messages) for case in shown} == {5}
    assert {len(case.messages) for case in cases if case not in shown} == {1}


@both
def test_a_fact_or_sum_is_one_cluster_over_four_languages(suite: dict[str, Slice], name: str) -> None:
    clusters = defaultdict(list)
    for case in suite[name].cases:
        clusters[case.cluster].append(language_of(case).code)
    assert len(clusters) == 40
    assert {(len(codes), len(set(codes))) for codes in clusters.values()} == {(4, 4)}


@both
def test_answers_are_kept_short_and_the_gate_is_set(suite: dict[str, Slice], name: str) -> None:
    loaded = suite[name]
    assert all(case.max_new_tokens <= (48 if "sentence" in case.tags else 24) for case in loaded.cases)
    assert loaded.policy.max_pass_to_fail is not None
    assert loaded.policy.min_cases is not None


@both
@pytest.mark.parametrize("answer", ["", "the of the of the of the of\n" * 5, "7 7 7 7 7"])
def test_an_empty_or_babbling_answer_passes_no_case(
    suite: dict[str, Slice], name: str, registry: CheckRegistry, answer: str
) -> None:
    right = [case.id for case in suite[name].cases if passes(case, answer, registry)]
    assert [case for case in right if answer[:1] != "7"] == []
    assert len(right) <= 5  # sums whose result is 7


@both
def test_repeating_the_question_passes_no_case(suite: dict[str, Slice], name: str, registry: CheckRegistry) -> None:
    assert [case.id for case in suite[name].cases if passes(case, question(case), registry)] == []


def test_every_fact_is_passed_by_each_accepted_answer_in_any_capitals(
    suite: dict[str, Slice], registry: CheckRegistry
) -> None:
    for case in suite["multilingual-facts"].cases:
        language, (relation, fact, _) = language_of(case), case.id.split("-")
        _, *answers = language.facts[relation][fact]
        if "sentence" in case.tags:
            continue
        for answer in answers:
            for written in (answer, answer.upper(), answer.capitalize(), f"**{answer}**."):
                assert passes(case, written, registry), (case.id, written)


def test_a_whole_sentence_in_the_language_is_told_from_one_in_another(
    suite: dict[str, Slice], registry: CheckRegistry
) -> None:
    asked = [case for case in suite["multilingual-facts"].cases if "sentence" in case.tags]
    assert len(asked) >= 15
    for case in asked:
        language, (relation, fact, _) = language_of(case), case.id.split("-")
        subject, answer, *_ = language.facts[relation][fact]
        sentence = SENTENCES[language.code][relation == "colour"].format(x=subject, a=answer)
        assert passes(case, sentence, registry), (case.id, sentence, grade_answer(case, sentence, registry))
        assert not passes(case, f"As everybody knows, the right answer to this is {answer}.", registry), case.id


def test_every_fact_refuses_the_answers_to_the_others_and_english(
    suite: dict[str, Slice], registry: CheckRegistry
) -> None:
    for case in suite["multilingual-facts"].cases:
        language, (relation, fact, _) = language_of(case), case.id.split("-")
        right = set(language.facts[relation][fact][1:])
        others = [answers for _, *answers in language.facts[relation].values() if not right & set(answers)]
        assert len(others) >= 4
        wrong = [answer for answers in others for answer in answers]
        assert [answer for answer in wrong if passes(case, answer, registry)] == [], case.id
        if language.script != "Latin":
            assert not passes(case, f"The answer is {min(right)}, as everybody knows.", registry), case.id


def test_the_answer_is_not_given_away_by_what_was_shown(suite: dict[str, Slice]) -> None:
    for case in suite["multilingual-facts"].cases:
        language, (relation, fact, _) = language_of(case), case.id.split("-")
        answer = language.facts[relation][fact][1]
        assert answer.casefold() not in {message.content.casefold() for message in case.messages}, case.id


def solved(language: Language, text: str) -> float:
    """The result of a question, worked out from the numbers in it; also proves that they stand in order."""
    numbers = [int(number) for number in re.findall("[0-9]+", text)]
    for story, template in language.stories.items():
        pattern = re.sub(r"\\{[abc]\\}", "[0-9]+", re.escape(template))
        if re.match(pattern, text):
            return SOLUTIONS[story](*numbers)
    signs = set(re.findall(r"(?<=[0-9]) ([+\u00d7-]) (?=[0-9])", text))
    assert len(signs) == 1, text
    if signs == {"+"}:
        return sum(numbers)
    a, b = numbers
    return a - b if signs == {"-"} else a * b


def test_every_sum_and_every_shown_answer_is_right(suite: dict[str, Slice], registry: CheckRegistry) -> None:
    for case in suite["multilingual-arithmetic"].cases:
        language, turns = language_of(case), case.messages
        for asked, answered in zip(turns[:-1:2], turns[1::2], strict=True):
            assert str(solved(language, asked.content)) in {answered.content, f"{answered.content}.0"}
        result = solved(language, question(case))
        assert result == int(result) > 0
        digits = str(int(result))
        native = "".join(chr(ord(ZEROS.get(language.code, "0")) + int(digit)) for digit in digits)
        for answer in (digits, native, f"= {digits}", f"**{digits}**\n", f"9 + 1 = {native}."):
            assert passes(case, answer, registry), (case.id, answer)
        wrong = {
            str(int(result) + 1),
            f"{digits}0",
            f"1{digits}",
            f"{digits}.5",
            f"{digits} + 1 = {int(result) + 1}",
            "?",
        }
        for answer in wrong | set(re.findall("[0-9]+", question(case))):
            assert not passes(case, answer, registry), (case.id, answer)


def test_a_result_may_stand_right_behind_a_letter_where_words_are_not_parted(
    suite: dict[str, Slice], registry: CheckRegistry
) -> None:
    told = {"zh": "答案是{}个。", "ja": "答えは{}です。", "ko": "모두{}개입니다.", "th": "รวมเป็นจำนวน{}บาท"}
    for case in suite["multilingual-arithmetic"].cases:
        sentence = told.get(language_of(case).code)
        if sentence:
            result = int(solved(language_of(case), question(case)))
            assert passes(case, sentence.format(result), registry), case.id
            assert not passes(case, sentence.format(result + 1), registry), case.id


def test_numbers_of_word_problems_leave_counted_nouns_in_one_form(suite: dict[str, Slice]) -> None:
    for case in suite["multilingual-arithmetic"].cases:
        if "story" in case.tags:
            for number in map(
                int, re.findall("[0-9]+", " ".join(m.content for m in case.messages if m.role == "user"))
            ):
                assert 5 <= number <= 20 or number % 10 in {0, 5, 6, 7, 8, 9}, case.id


def test_tags_tell_language_script_and_kind(suite: dict[str, Slice]) -> None:
    for loaded in suite.values():
        for case in loaded.cases:
            language = language_of(case)
            hows = {"few_shot", "one_word", "sentence", "number_only"} & set(case.tags)
            kinds = {*RELATIONS, "add", "subtract", "multiply", "divide", "add_subtract"} & set(case.tags)
            assert (len(hows), len(kinds)) == (1, 1), case.id
            assert {f"lang_{language.code}", f"script_{language.script.lower()}"} < set(case.tags)
            assert case.id.endswith(f"-{language.code}")


def test_readme_tells_of_both_slices_and_of_the_languages(suite: dict[str, Slice]) -> None:
    readme = (suite_files("multilingual")[0].parent / "README.md").read_text("utf-8")
    assert [name for name in suite if f"`{name}`" not in readme] == []
    assert len(re.findall(r"\b[A-Z]\w+", readme.split("Languages: ")[1].split(", as")[0])) == len(languages())
