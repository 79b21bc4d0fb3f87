"""Checks of answers that a program will parse: json, json_schema, yaml, csv, xml, tool_call, no_tool_call.

Where the structured text is in an answer is the same for all of them: fences.py states it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks import csv_answer, tool_call, xml_answer, yaml_answer
from pytest_quantgate.checks.fences import NoStructureError, block_decided, structured_text
from pytest_quantgate.checks.finding import Finding, followed, violated
from pytest_quantgate.checks.json_text import read_json
from pytest_quantgate.checks.schemas import grade_by_schema, schema_problems

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

_MARKS = ("json",)


def json_value(answer: str) -> Finding:
    """The answer is one JSON value, of any type.

    Where it stands: either the whole answer, stripped of white space, is JSON; or it has exactly one fenced block
    (three backticks on a line of their own, alone or with ``json`` behind them), closed, that holds JSON, with any
    text around it. Nothing is searched for in a sentence. Violations: NaN and Infinity, which JSON does not have; an
    object that names a key twice; more than 100 levels of nesting.
    """
    try:
        read_json(structured_text(answer, _MARKS), numbers=False)
    except NoStructureError as problem:
        return violated(str(problem))
    return followed("the answer is JSON")


def json_decided(so_far: str) -> bool | None:
    """False once there is a fence too many or of another format, or a closed block that holds no JSON."""
    return block_decided(so_far, _MARKS, json_value)


def json_schema(answer: str, *, schema: Mapping[str, Any]) -> Finding:
    """The answer is JSON, as the check ``json`` wants it, and valid by the schema.

    The schema's draft is its ``$schema`` (4, 6, 7, 2019-09, 2020-12), else 2020-12. References are resolved inside
    the schema and to the published drafts, never fetched. ``format`` is an annotation and checks nothing. 1.0 is an
    integer, as JSON Schema has it from draft 6 on. Not scored: an integer of more than 4,300 digits, and a validation
    that needs more than five seconds of processor time (a pattern that backtracks without end).
    """
    try:
        text = structured_text(answer, _MARKS)
        read_json(text, numbers=False)
    except NoStructureError as problem:
        return violated(str(problem))
    return grade_by_schema(text, schema)


def json_schema_problems(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The schema is valid by its draft, refers to nothing outside itself, and constrains something."""
    return schema_problems(arguments["schema"])


def register(registry: CheckRegistry, settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("json", json_value, decided=json_decided)
    registry.register(
        "json_schema",
        json_schema,
        shorthand="schema",
        validate=json_schema_problems,
        decided=lambda so_far, **_: json_decided(so_far),  # what is no JSON is valid by no schema
    )
    for family in (yaml_answer, csv_answer, xml_answer, tool_call):
        family.register(registry, settings)
