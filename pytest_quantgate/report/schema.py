"""The JSON Schema of the run report, made from the values themselves: ``python -m pytest_quantgate.report.schema``.

What every report of this version has is required, and what a later release may add is let through, as ``from_json``
does. So a key that is added without a new version must not be required here: older reports of the version lack it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any, Final, get_args

from pytest_quantgate.cases.model import CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.diagnosis.model import Diagnosis
from pytest_quantgate.gate.model import GateResult
from pytest_quantgate.generation.completion import Completion, FinishReason
from pytest_quantgate.generation.expected import Fidelity
from pytest_quantgate.outcomes.breakdown import Stratum
from pytest_quantgate.outcomes.fragility import Fragility
from pytest_quantgate.outcomes.health import Indicators
from pytest_quantgate.outcomes.indicators import Indicator
from pytest_quantgate.outcomes.margins import Margins
from pytest_quantgate.report.cliff import Cliff
from pytest_quantgate.report.encoding import RATES
from pytest_quantgate.report.model import FORMAT, SCHEMA_VERSION, RunReport
from pytest_quantgate.report.reading import MOST
from pytest_quantgate.report.records import CaseRecord, GateSettings, GoldenRecord, SliceRecord, VariantRecord

Schema = dict[str, Any]

# written as they are, one JSON key for each of their fields
_PLAIN: Final = (
    *(GateResult, VariantRecord, SliceRecord, GateSettings, GoldenRecord, Diagnosis),
    *(Cliff, Stratum, Fragility, Margins, Indicator, Indicators),
    *(CheckResult, CheckSpec, Fidelity, Message, Recall),
)

_TEXT: Final[Schema] = {"type": "string"}
_TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MOST}
_INTEGERS: Final[Schema] = {"type": "array", "items": {"type": "integer"}}
_NUMBERS: Final[Schema] = {"type": "array", "items": {"type": ["number", "null"]}}
"""JSON has no NaN and no infinity: null stands for both."""

_ADDED: Final = {"Standing": ("anchored",), "VariantRecord": ("model", "summary", "folder")}
"""What came to values that are written as they are without a new version, and is written where it says something."""

_ALIKE: Final = {
    "pytest_quantgate.gate.model.Evidence": "Evidence",
    "pytest_quantgate.diagnosis.model.Evidence": "DiagnosisEvidence",
}
"""What the schema calls classes that share a name, which msgspec tells apart by their modules."""

_JSON: Final = {"None": "null", "True": "true", "False": "false"}


def run_report_schema() -> Schema:
    """The schema (draft 2020-12) of what ``RunReport.to_json`` writes."""
    variant, gates = _ref("VariantRecord"), _list(_ref("GateResult"))
    properties: Schema = {
        "format": {"const": FORMAT},
        "schema_version": {"const": SCHEMA_VERSION},
        "verdict": {"$ref": "#/$defs/Verdict", "description": "The worst verdict of all gates and drift gates."},
        "tool_version": _TEXT,
        "created": _TEXT,
        "command": _list(_TEXT),
        "base_command": _list(_TEXT),
        "report_path": _TEXT_OR_NULL,
        "model": _TEXT,
        "revision": _TEXT_OR_NULL,
        "device": _TEXT,
        "compute_dtype": _TEXT,
        "settings": _ref("GateSettings"),
        "reference": variant,
        "candidates": _list(variant),
        "control_variants": _list(variant),
        "floor_variant": {"anyOf": [variant, {"type": "null"}]},
        "slices": _list(_ref("SliceRecord")),
        "gates": gates,
        "controls": gates,
        "goldens": _list(_ref("GoldenRecord")),
        "drifts": gates,
        "diagnoses": _list(_ref("Diagnosis")),
        "cases": _list(_ref("CaseRecord")),
        "indicators": {**_list(_ref("Indicators")), "description": "What the answers look like; computed."},
        "cliff": {
            "anyOf": [_ref("Cliff"), {"type": "null"}],
            "description": "Where quality falls off as bits get fewer; computed; null without two bit widths.",
        },
        "breakdown": {**_list(_ref("Breakdown")), "description": "Where the changes are, gate by gate; computed."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pytest-quantgate:run-report:{SCHEMA_VERSION}",
        "title": FORMAT,
        **_object(
            _described(properties, _attributes(RunReport)),
            "Everything that one run found.",
            optional=_described({"folder": _TEXT}, _attributes(RunReport)),
        ),
        "$defs": dict(sorted(_definitions().items())),
    }


def _plain() -> dict[str, Schema]:
    """The schemas of the values that are written as they are, and of all that they hold."""
    from msgspec.json import schema_components

    _, found = schema_components(_PLAIN, ref_template="#/$defs/{name}")
    kinds = {_ALIKE.get(f"{kind.__module__}.{kind.__name__}", kind.__name__): kind for kind in _dataclasses_of(_PLAIN)}
    named = {_ALIKE.get(name, name): schema for name, schema in found.items()}
    return {name: _strict(name, schema, kinds.get(name)) for name, schema in named.items()}


def _strict(name: str, schema: Schema, kind: type | None) -> Schema:
    """A schema of msgspec's with every key required, numbers bounded, and the attributes' descriptions."""
    if "properties" not in schema:
        return {**schema, "description": _flat(schema.get("description", ""))}
    measured = name == "Recall"  # read like an answer's tokens: any whole number, and null for what is no number
    properties = {key: _bounded(value, measured=measured) for key, value in schema["properties"].items()}
    properties = _described(properties, _attributes(kind) if kind is not None else {})
    if name == "GateResult":
        rates = {key: {"type": ["number", "null"]} for key in RATES}
        properties["rates"] = _object(rates, "What follows from the counts; computed; null where undefined.")
    later = {key: properties.pop(key) for key in _ADDED.get(name, ()) if key in properties}
    return _object(properties, _first_line(schema.get("description", "")), optional=later)


def _bounded(schema: Schema, *, measured: bool) -> Schema:
    if schema.get("type") == "integer":
        return {"type": "integer"} if measured else dict(_COUNT)
    if schema.get("type") == "number":
        return {"type": ["number", "null"]} if measured else {"type": "number"}
    found = {key: value for key, value in schema.items() if key != "default"}
    if "$ref" in found:
        name = found["$ref"].removeprefix("#/$defs/")
        found.update(_ref(_ALIKE.get(name, name)))
    for key in {"items", "additionalProperties"} & set(found):
        found[key] = _bounded(found[key], measured=measured)
    if "anyOf" in found:
        found["anyOf"] = [_bounded(each, measured=measured) for each in found["anyOf"]]
    return found


def _definitions() -> dict[str, Schema]:
    """The schemas of everything that the report holds, by name."""
    found = _plain()
    health = found["Indicators"]
    owned = _object({"slice": _TEXT, "variant": _TEXT, **health["properties"]}, health["description"])
    return {**found, "Indicators": owned, "Breakdown": _breakdown(), "Outcome": _outcome(), **_cases()}


def _cases() -> dict[str, Schema]:
    """Cases as ``report.encoding`` lays them out."""
    checks, record = _list(_ref("CheckSpec")), _attributes(CaseRecord)
    turn = _object({"prompt": _TEXT, "checks": checks, "max_new_tokens": _COUNT}, "What is asked after the first turn.")
    case = _object(
        {
            "id": _TEXT,
            "messages": _list(_ref("Message")),
            "checks": checks,
            "max_new_tokens": _COUNT,
            "tags": _list(_TEXT),
            "cluster": _TEXT_OR_NULL,
            "path": _TEXT,
            "line": _COUNT,
        },
        "One prompt and the checks that its answer must satisfy.",
        optional={
            "answer_prefix": {**_TEXT, "description": "Text that the answer is made to begin with."},
            "subject": {**_TEXT, "description": "What the prompt is about, in its own words."},
            "later": {**_list(turn), "description": "The turns after the first."},
        },
    )
    kept = {
        "slice": _TEXT,
        "case": _ref("Case"),
        "node_ids": {"type": "object", "additionalProperties": _TEXT},
        "outcomes": {"type": "object", "additionalProperties": _ref("Outcome")},
    }
    return {"Case": case, "CaseRecord": _object(_described(kept, record), "One case and what every variant answered.")}


def _outcome() -> Schema:
    """An outcome with its completion, as ``report.encoding`` lays it out."""
    said = {
        **_attributes(Completion),
        "results": "One per check of the case, turn after turn.",
        "passed": "Whether every check is followed; null for a case that is unscored.",
        "unscored": "Why the case is unscored; null when it is scored.",
        "turns": "The outcome of each turn, of a case with later turns.",
    }
    always = {
        "text": _TEXT,
        "token_ids": _INTEGERS,
        "finish_reason": {"enum": list(get_args(FinishReason))},
        "prompt_tokens": _COUNT,
        "margins": _NUMBERS,
        "problem": _TEXT_OR_NULL,
        "results": _list(_ref("CheckResult")),
        "passed": {"type": ["boolean", "null"]},
        "unscored": _TEXT_OR_NULL,
    }
    sometimes = {
        "counted": _COUNT,
        "fidelity": _ref("Fidelity"),
        "recall": _list(_ref("Recall")),
        "turns": _list(_ref("Outcome")),
    }
    what = "An answer and its grades; of a case with later turns, its first answer and all grades."
    return _object(_described(always, said), what, optional=_described(sometimes, said))


def _breakdown() -> Schema:
    """A row of ``report.breakdown``."""
    return _object(
        {
            "slice": _TEXT,
            "candidate": _TEXT,
            "strata": _list(_ref("Stratum")),
            "fragility": _list(_ref("Fragility")),
            "margins": _ref("Margins"),
            "indicators": _list(_ref("Indicator")),
        },
        "Where the changes of one slice and candidate are.",
    )


def _described(properties: Schema, told: dict[str, str]) -> Schema:
    return {key: {**value, "description": told[key]} if key in told else value for key, value in properties.items()}


def _object(properties: Schema, description: str, *, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": {**properties, **(optional or {})},
        "required": sorted(properties),
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _dataclasses_of(kinds: tuple[type, ...]) -> set[type]:
    """The dataclasses and all that their fields hold."""
    from dataclasses import is_dataclass
    from typing import get_type_hints

    found: set[type] = set()
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        waiting.extend(get_args(kind))
        if isinstance(kind, type) and is_dataclass(kind) and kind not in found:
            found.add(kind)
            waiting.extend(get_type_hints(kind).values())
    return found


def _attributes(kind: type) -> dict[str, str]:
    """What a class's docstring says of each attribute, as a reader of JSON would put it."""
    _, _, section = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")
    parts = re.split(r"^    (\w+): ", section, flags=re.MULTILINE)
    return {name: _flat(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _first_line(text: str) -> str:
    return _flat(text.partition("\n")[0])


def _flat(text: str) -> str:
    words = re.sub(r"\b(None|True|False)\b", lambda found: _JSON[found[0]], " ".join(text.split()))
    return words.replace("``", "`")


def text() -> str:
    """The schema as the file that is published."""
    return json.dumps(run_report_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
