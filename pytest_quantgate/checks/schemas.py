"""JSON Schema: whether a schema can judge answers at all, and judging them.

The draft is the schema's ``$schema``, else 2020-12. References are resolved inside the schema and to the published
drafts, never fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_quantgate.checks.bounded import grade_bounded
from pytest_quantgate.checks.finding import Finding, followed, one_line, quoted, unscored, violated
from pytest_quantgate.checks.json_text import LongNumberError, read_json
from pytest_quantgate.checks.remembered import remembered
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from jsonschema.exceptions import SchemaError, ValidationError
    from jsonschema.protocols import Validator
    from referencing import Registry


def grade_by_schema(text: str, schema: Mapping[str, Any]) -> Finding:
    """Judge JSON by a schema, in a process that the operating system stops when it runs away.

    Args:
        text: JSON that `read_json` accepts.
        schema: A schema without `schema_problems`.
    """
    return grade_bounded("json_schema", text, dict(schema))


def schema_problems(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The schema is valid by its draft, refers to nothing outside itself, and constrains something."""
    return _schema_problems(json.dumps(schema, sort_keys=True))


def schema_grader() -> Callable[[str, Mapping[str, Any]], Finding]:
    """Import jsonschema and give the grading of (JSON text, schema); for the worker, which bounds it."""
    import jsonschema
    from referencing.exceptions import Unresolvable

    def grade(text: str, schema: Mapping[str, Any]) -> Finding:
        try:
            value = read_json(text)
        except LongNumberError as problem:
            return unscored(str(problem))
        try:
            error = jsonschema.exceptions.best_match(_validator(schema).iter_errors(value))
        except RecursionError:
            return unscored("the schema refers to itself too often to be followed")
        except OverflowError:
            return unscored("a number is too large to be compared with the schema's")
        except Unresolvable as missing:
            return unscored(f"the schema refers to {quoted(str(missing.ref))}, which it does not hold")
        if error is None:
            return followed("the answer is valid by the schema")
        return violated(_located(error))

    return grade


@lru_cache(maxsize=1024)
def _schema_problems(text: str) -> tuple[str, ...]:
    # judging a schema takes milliseconds, and many cases of a slice share one
    found = remembered("schema", [text], lambda: list(_problems_of(json.loads(text))), _are_problems)
    return tuple(f"argument 'schema' {problem}" for problem in found)


def _are_problems(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(problem, str) for problem in found)


def _problems_of(schema: dict[str, Any]) -> Iterator[str]:
    import jsonschema

    known = [uri for uri in _published() if uri.endswith("/schema")]
    draft = str(schema.get("$schema", known[0])).removesuffix("#")
    if draft not in known:
        yield f"has the unknown $schema {quoted(draft)}; {nearest(draft, known)}"
        return
    validator = _validator(schema)
    try:
        validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        yield f"is no valid JSON Schema: {_located(error)}"
        return
    keywords = validator.VALIDATORS.keys()
    if keywords.isdisjoint(schema):
        # most likely a misspelt keyword, which JSON Schema would silently accept
        odd = next(iter(schema), None)
        hint = f"{quoted(odd)} is no keyword; {nearest(odd, keywords)}" if odd else "use the check 'json'"
        yield f"constrains nothing: {hint}"
    yield from _reference_problems(schema)


def _validator(schema: Mapping[str, Any]) -> Validator:
    """The validator of the schema's draft; it knows the published drafts and fetches nothing."""
    from jsonschema.validators import Draft202012Validator, validator_for

    return validator_for(schema, default=Draft202012Validator)(schema, registry=_published())


def _published() -> Registry[Any]:
    """The published drafts of JSON Schema, as data that the library carries."""
    import jsonschema_specifications  # type: ignore[import-untyped]

    registry: Registry[Any] = jsonschema_specifications.REGISTRY
    return registry


def _reference_problems(schema: dict[str, Any]) -> Iterator[str]:
    """References that lead nowhere, or back to where they stand before any part of the answer is looked at."""
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = _published().resolver_with_root(DRAFT202012.create_resource(schema))
    leads_to: dict[str, set[str]] = {}
    for reference in _references(schema):
        try:
            leads_to[reference] = set(_applied(resolver.lookup(reference).contents))
        except Unresolvable:
            yield f"refers to {quoted(reference)}, which it does not hold; nothing is fetched"
    # what leads only to references that end, ends; what is then left runs in circles
    while ending := [reference for reference, others in leads_to.items() if others.isdisjoint(leads_to)]:
        for reference in ending:
            del leads_to[reference]
    if leads_to:
        yield f"refers to itself without end, through {quoted(min(leads_to))}: no answer could be judged"


def _references(schema: dict[str, Any]) -> Iterable[str]:
    """The references anywhere in a schema, once each."""
    found: dict[str, None] = {}
    waiting: list[Any] = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item is not schema and "$id" in item:
                return ()  # its references have another base: left to the grading, which says so too
            waiting.extend(item.values())
            if isinstance(item.get("$ref"), str):
                found[item["$ref"]] = None
        elif isinstance(item, list):
            waiting.extend(item)
    return found


def _applied(schema: Any) -> Iterator[str]:
    """The references that are followed to judge a value by a schema, at the same value."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("$ref"), str):
            yield item["$ref"]
        for keyword in ("allOf", "anyOf", "oneOf"):
            waiting.extend(item.get(keyword, ()))
        waiting.extend(item.get(keyword) for keyword in ("not", "if", "then", "else"))


def _located(error: ValidationError | SchemaError) -> str:
    """Where an error of jsonschema is, and what it is."""
    return f"{one_line(error.json_path, 80)}: {one_line(error.message)}"
