"""The check of YAML: yaml."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.fences import NoStructureError, block_decided, structured_text
from pytest_quantgate.checks.finding import Finding, followed, unscored, violated
from pytest_quantgate.checks.schemas import grade_by_schema, schema_problems

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

CHARACTERS = 100_000
"""Longest YAML that is read: its parser takes some two seconds of processor time for a megabyte of short items."""

_MARKS = ("yaml", "yml")


def yaml_document(answer: str, *, schema: Mapping[str, Any] | None = None) -> Finding:
    """The answer is one YAML document, a mapping or a list; with a schema, valid by it too.

    Where the YAML is follows the rule of the check ``json``, with fences marked ``yaml`` or ``yml``. Any words are
    YAML, of one text: so a document that is neither a mapping nor a list is a violation. JSON is YAML too. Plain values
    follow the core schema of YAML 1.2: ``yes`` and ``2024-01-01`` are text, ``007`` is the number 7. Violations: a key
    given twice, a key that is no plain value, aliases, tags, a second document, more than 64 levels; with a schema also
    ``.inf`` and ``.nan``, which JSON Schema cannot judge. Keys are the text that stands there: ``1: x`` has the key
    "1". Not scored: more than 100,000 characters of YAML, and what the check ``json_schema`` does not score.
    """
    from pytest_quantgate.cases.nodes import plain
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.yaml_nodes import read_yaml

    try:
        text = structured_text(answer, _MARKS)
    except NoStructureError as problem:
        return violated(str(problem))
    if len(text) > CHARACTERS:
        return unscored(f"{len(text):,} characters are too many to be read as YAML")
    problems = Problems("")
    node = read_yaml(text, problems)
    if node is not None and not problems:
        value = plain(node, problems) if schema else node.value
        if not isinstance(value, list | dict):
            return violated("neither a mapping nor a list, but a single value")
        if not problems:
            return grade_by_schema(json.dumps(value), schema) if schema else followed("the answer is YAML")
    first = problems.found()[0]
    return violated(f"line {first.line}: {first.message}")


def yaml_decided(so_far: str, **_: Any) -> bool | None:
    """False once there is a fence too many or of another format, or a closed block that holds no YAML."""
    return block_decided(so_far, _MARKS, yaml_document)


def yaml_problems(arguments: Mapping[str, Any]) -> Iterable[str]:
    """The schema, if any, can judge answers."""
    return schema_problems(arguments["schema"]) if "schema" in arguments else ()


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("yaml", yaml_document, shorthand="schema", validate=yaml_problems, decided=yaml_decided)
