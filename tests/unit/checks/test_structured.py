from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_quantgate.checks.model import CheckResult

Grade = Callable[[str, object, str], CheckResult]
FindProblems = Callable[[str, object], tuple[str, ...]]
PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}


@pytest.mark.parametrize(
    "answer",
    [
        '{"a": 1}',
        "[]",
        '"text"',
        "42",
        "null",
        " \n{}\n ",
        '```json\n{"a": 1}\n```',
        "```\n[1]\n```",
        "Here it is:\n\n```JSON\r\n{}\r\n```\r\nAnything else?",
        "1" * 5_000,
        '{"a": 1e999}',
        '["\\ud800"]',
        '["```"]',
        "[" * 100 + "]" * 100,
    ],
)
def test_json_is_the_whole_answer_or_one_fenced_block(grade: Grade, answer: str) -> None:
    assert grade("json", None, answer).followed is True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "the answer is empty"),
        ("Sure! {}", "not JSON: "),
        ("{'a': 1}", "not JSON: "),
        ('{"a": 1', "not JSON: "),
        ("{} {}", "not JSON: "),
        ('{"a": NaN}', "NaN is no JSON value"),
        ("[-Infinity]", "-Infinity is no JSON value"),
        ('{"a": 1, "a": 1}', "the key 'a' is given twice"),
        ('[{"b": {"c": 1, "c": 2}}]', "the key 'c' is given twice"),
        ("```json\n{}\n```\nor\n```json\n{}\n```", "2 fenced blocks"),
        ("```json\n{}", "not closed"),
        ("```json\n{}\n```json", "not closed"),
        ("```python\n{}\n```", "marked 'python'"),
        ("```json\n\n```", "the fenced block is empty"),
        ("[" * 100_000, "more than 100 levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 levels deep"),
    ],
)
def test_anything_else_is_a_violation_that_says_why(grade: Grade, answer: str, reason: str) -> None:
    result = grade("json", None, answer)
    assert result.followed is False
    assert reason in result.reason


def test_brackets_inside_strings_are_no_nesting(grade: Grade) -> None:
    assert grade("json", None, '["' + "[" * 1_000 + '\\""]').followed is True


@pytest.mark.parametrize(
    ("answer", "followed", "reason"),
    [
        ('{"name": "Alice"}', True, "valid"),
        ('Here:\n```json\n{"name": "Alice"}\n```', True, "valid"),
        ('{"name": 3}', False, "$.name: 3 is not of type 'string'"),
        ('{"name": "A", "tags": ["x", 1]}', False, "$.tags[1]: 1 is not of type 'string'"),
        ("{}", False, "$: 'name' is a required property"),
        ("[]", False, "$: [] is not of type 'object'"),
        ("Alice", False, "not JSON"),
    ],
)
def test_json_schema_gives_the_path_of_the_error(grade: Grade, answer: str, reason: str, *, followed: bool) -> None:
    result = grade("json_schema", PERSON, answer)
    assert result.followed is followed
    assert reason in result.reason


def test_the_draft_is_the_one_that_the_schema_declares(grade: Grade) -> None:
    tuple_of_drafts = {"items": [{"type": "integer"}]}  # 2020-12 calls this prefixItems
    old = {"$schema": "http://json-schema.org/draft-07/schema#", **tuple_of_drafts}
    assert grade("json_schema", {"schema": old}, '["x"]').followed is False
    assert grade("json_schema", {"prefixItems": [{"type": "integer"}]}, '["x"]').followed is False


def test_formats_check_nothing(grade: Grade) -> None:
    assert grade("json_schema", {"type": "string", "format": "email"}, '"nobody"').followed is True


def test_references_inside_the_schema_are_resolved(grade: Grade) -> None:
    schema = {"$ref": "#/$defs/word", "$defs": {"word": {"type": "string"}}}
    assert grade("json_schema", schema, '"x"').followed is True
    assert grade("json_schema", schema, "1").followed is False


def test_a_schema_whose_validation_never_ends_is_not_scored(grade: Grade) -> None:
    inner = {"$id": "inner", "allOf": [{"$ref": "#"}]}  # another base: its references are not judged beforehand
    result = grade("json_schema", {"not": inner}, "1")
    assert result.followed is None
    assert "refers to itself" in result.reason


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"type": "string"}, {"not": {"$ref": "#"}}]},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_refers_to_itself_without_end_is_a_problem(problems: FindProblems, schema: object) -> None:
    (problem,) = problems("json_schema", {"schema": schema})
    assert "refers to itself without end, through '#" in problem


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"next": {"$ref": "#"}}},
        {"items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}},
    ],
)
def test_a_schema_may_refer_to_itself_for_parts_of_the_answer(problems: FindProblems, schema: object) -> None:
    assert problems("json_schema", {"schema": schema}) == ()


def test_an_integer_that_python_does_not_read_is_json_but_not_scored_by_a_schema(grade: Grade) -> None:
    answer = '{"name": "A", "n": ' + "1" * 5_000 + "}"
    assert grade("json", None, answer).followed is True
    assert grade("json_schema", PERSON, answer).followed is None
