"""Whether a written report is as the published JSON Schema says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "run-report-4.schema.json"

MOST = 20
"""Cases of each report that are looked at: validating takes its time, and they are all written alike."""


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


_KNOWN: set[str] = set()
"""Cases that were found to be valid: many runs write the same."""


def problems(document: dict[str, Any]) -> list[str]:
    """What the published schema says against a report, as PATH: MESSAGE."""
    fresh: dict[str, Any] = {}
    if isinstance(document.get("cases"), list):
        texts = ((json.dumps(case), case) for case in document["cases"][:MOST])
        fresh = {text: case for text, case in texts if text not in _KNOWN}
        document = {**document, "cases": list(fresh.values())}
    found = [f"{error.json_path}: {error.message:.200}" for error in _validator().iter_errors(document)]
    if not found:
        _KNOWN.update(fresh)
    return found


def valid(text: str) -> str:
    """The text of a report, once it is known to be valid."""
    assert problems(json.loads(text)) == []
    return text
