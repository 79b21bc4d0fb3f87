"""The published JSON Schema: what the code gives, strict about what is there, open to what comes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.schema import run_report_schema, text
from pytest_quantgate.report.store import load
from tests.unit.report.build import FAILED, PASSED, anchored, full, record, run, sweep, typical, with_summaries
from tests.unit.report.diagnosed import diagnosis, with_diagnoses
from tests.unit.report.valid import PUBLISHED, problems, valid

EARLIER = Path(__file__).parents[3] / "fixtures" / "run_reports"
SMALL = json.loads(run(("format", [record("format", "a", PASSED, FAILED)])).to_json())


def test_the_published_schema_is_what_the_code_gives() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == text(), (
        "write it again: python -m pytest_quantgate.report.schema > docs/schemas/run-report-4.schema.json"
    )


def test_the_module_writes_the_schema() -> None:
    command = [sys.executable, "-m", "pytest_quantgate.report.schema"]
    written = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    assert json.loads(written) == run_report_schema()


@pytest.mark.parametrize(
    "report",
    [
        run(),
        typical(),
        with_summaries(typical()),
        full(size=3, rule="evidence"),
        full(rule="point", seed=None),
        sweep(("int8", 8.0, Verdict.PASS), ("nf4", 4.0, Verdict.FAIL), ("nothing", None, None)),
        anchored(),
        with_diagnoses(diagnosis(2)),
    ],
    ids=["empty", "typical", "summaries", "evidence", "point", "sweep", "anchored", "diagnosed"],
)
def test_what_is_written_is_valid_and_reads_back_equal(report: RunReport) -> None:
    assert RunReport.from_json(valid(report.to_json())) == report


def test_what_json_cannot_say_is_valid_as_null() -> None:
    odd = Outcome(Completion("\ud800", (1, -2), "stop", 3, (float("nan"), 0.5)), PASSED.results, passed=True)
    assert valid(run(("format", [record("format", "a", PASSED, odd)])).to_json())


def _changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(SMALL)
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "another"),
        (("schema_version",), 5),
        (("verdict",), "GREAT"),
        (("command",), "pytest"),
        (("reference",), None),
        (("settings", "inconclusive"), "maybe"),
        (("candidates", 0, "bits"), "four"),
        (("candidates", 0, "summary"), 4),
        (("candidates", 0, "identity"), {"weights": 1}),
        (("gates", 0, "verdict"), "GREAT"),
        (("gates", 0, "role"), "judge"),
        (("gates", 0, "policy", "rule"), "vibes"),
        (("gates", 0, "statistics", "counts", "pp"), -1),
        (("gates", 0, "statistics", "counts", "pp"), 1.5),
        (("gates", 0, "statistics", "stability", "interval", "method"), "guess"),
        (("goldens",), [{}]),
        (("cases", 0, "outcomes", "nf4", "finish_reason"), "bored"),
        (("cases", 0, "outcomes", "nf4", "passed"), "yes"),
        (("cases", 0, "case", "messages", 0, "role"), "tool"),
    ],
)
def test_what_no_reader_takes_is_not_valid(path: tuple[str | int, ...], value: object) -> None:
    document = _changed(path, value)
    assert problems(document)
    if path != ("verdict",):  # computed, and not read back
        with pytest.raises(QuantgateError):
            RunReport.from_json(json.dumps(document))


def test_every_key_of_a_report_is_required() -> None:
    for key in SMALL:
        assert problems({name: value for name, value in SMALL.items() if name != key}), key


def test_keys_that_a_later_release_adds_are_valid() -> None:
    for path in ((), ("reference",), ("gates", 0), ("gates", 0, "policy"), ("cases", 0), ("cases", 0, "case")):
        assert problems(_changed((*path, "added"), {"any": [1]})) == []


def test_every_key_is_described_where_its_value_is() -> None:
    schema = run_report_schema()
    golden = schema["$defs"]["GoldenRecord"]["properties"]
    assert golden["anchored"]["description"].endswith("null for a golden that does not exist.")
    assert schema["properties"]["drifts"]["description"].startswith("The drift gates")


@pytest.mark.parametrize("file", sorted(EARLIER.glob("v*.json")), ids=lambda file: file.stem)
def test_reports_of_earlier_versions_are_read(file: Path) -> None:
    report, document = load(file), json.loads(file.read_text(encoding="utf-8"))
    again = json.loads(valid(report.to_json()))
    # whatever the earlier version said is still said, in the same words and numbers
    assert _lost(document, again) == [f"$.schema_version: {document['schema_version']} is {again['schema_version']}"]


def test_version_2_is_read_without_goldens() -> None:
    report = load(EARLIER / "v2.json")
    assert (report.goldens, report.drifts, report.diagnoses, report.slices[0].line) == ((), (), (), 1)
    assert {gate.policy.max_drift for gate in report.gates} == {0.02}
    assert {gate.policy.min_grader_agreement for gate in report.gates} == {None}
    assert report.verdict is Verdict.FAIL


def test_version_3_is_read_with_its_goldens_and_without_diagnoses() -> None:
    report = load(EARLIER / "v3.json")
    assert report.diagnoses == ()
    states = {each.state for golden in report.goldens for each in golden.standings}
    assert states == {"reworded", "drifted", "expired", "new"}
    assert {gate.verdict for gate in report.drifts} == {Verdict.FAIL, Verdict.INCONCLUSIVE}
    told = [(each.spec, each.kernels, each.summary) for each in report.candidates]
    assert told == [("nf4", "dense", None), ("int8", "native", None)]


@pytest.mark.parametrize(("version", "why"), [(1, "it is too old"), (5, "a newer pytest-quantgate wrote it")])
def test_other_versions_are_refused_with_what_to_do(version: int, why: str) -> None:
    with pytest.raises(QuantgateError) as caught:
        RunReport.from_json(json.dumps({**SMALL, "schema_version": version}), where="run.json")
    assert f"schema version {version}, and this pytest-quantgate reads versions 2, 3 and 4: {why}" in str(caught.value)
    assert "--quant-report-json" in str(caught.value)


def _lost(before: Any, after: Any, path: str = "$") -> list[str]:
    """Where a value of one document is missing or another in the other; keys that were added are fine."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for key in before for each in _lost(before[key], after.get(key, "missing"), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for place, pair in pairs for each in _lost(*pair, f"{path}[{place}]")]
    return [] if before == after else [f"{path}: {before} is {after}"]
