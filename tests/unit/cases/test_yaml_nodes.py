"""YAML scalars as version 1.2 reads them, and the lines of what was read."""

from __future__ import annotations

import math

import pytest
import yaml

from pytest_quantgate.cases import yaml_nodes
from pytest_quantgate.cases.nodes import Node, plain
from pytest_quantgate.cases.problems import Problems
from pytest_quantgate.cases.yaml_nodes import read_yaml


def read(text: str) -> Node:
    problems = Problems("f")
    node = read_yaml(text, problems)
    assert problems.found() == ()
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("True", True), ("false", False),
        ("null", None), ("~", None), ("", None), ('""', ""), ("'5'", "5"), ("|\n  5\n", "5\n"),
        ("5", 5), ("-5", -5), ("+5", 5), ("012", 12), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"),
        ("1_000", "1_000"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0),
        ("-.inf", -math.inf), ("-", [None]), (".", "."), ("+", "+"), ("1.2.3", "1.2.3"), ("a: b", {"a": "b"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parser", ["CBaseLoader", "BaseLoader"])
def test_scalars_follow_yaml_1_2(text: str, value: object, parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "_Parser", getattr(yaml, parser, yaml.BaseLoader))
    found = plain(Node(read(text).value, 1), Problems("f"))
    assert (type(found), found) == (type(value), value)


def test_keys_are_the_text_that_stands_there() -> None:
    assert plain(read("{1: a, true: b, no: c, 'q': d}"), Problems("f")) == {"1": "a", "true": "b", "no": "c", "q": "d"}


def test_a_value_has_the_line_of_its_key_and_an_item_its_own() -> None:
    root = read("# comment\na:\n  b: 1\nc:\n  - x\n  -\n    - y\n")
    assert isinstance(root.value, dict)
    assert {key: node.line for key, node in root.value.items()} == {"a": 2, "c": 4}
    items = root.value["c"].value
    assert isinstance(items, list)
    assert [item.line for item in items] == [5, 7]


def test_a_number_of_many_digits_is_a_problem() -> None:
    problems = Problems("f")
    read_yaml("a: " + "9" * 5000, problems)
    assert [str(problem) for problem in problems.found()] == ["f:1: a number of 5000 digits: quote it if it is text"]


@pytest.mark.parametrize("text", ["a: [", 'a: "\\UFFFFFFFF"', "a: *b\n*b : c", "%YAML 9.9\n---\na"])
def test_the_parser_in_python_reports_problems_too(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "_Parser", yaml.BaseLoader)
    problems = Problems("f")
    read_yaml(text, problems)
    assert len(problems) > 0
