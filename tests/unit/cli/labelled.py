"""Stored runs whose checks people are asked about, and a person who fills in sheets."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.records import CaseRecord, SliceRecord, VariantRecord
from pytest_quantgate.report.store import write
from tests.unit.report.build import run

Answers = Mapping[str, str]
"""By spec: the text, behind "+" where the check follows it, "-" where it does not, "?" where it cannot say."""

SLICE = "slice: people\ngate: {min_cases: 1, min_grader_agreement: 0.9}\ncases:\n"


def record(case_id: str, answers: Answers, *, check: str = "refusal", slice_name: str = "people") -> CaseRecord:
    """A case with one check."""
    case = Case(case_id, (Message("user", f"Ask {case_id}."),), (CheckSpec(check),), 8)
    return CaseRecord(slice_name, case, {}, {spec: _outcome(marked, check) for spec, marked in answers.items()})


def _outcome(marked: str, check: str) -> Outcome:
    followed = {"+": True, "-": False, "?": None}[marked[0]]
    result = CheckResult(check, followed, "because")
    unscored = None if followed is not None else "unsure"
    return Outcome(Completion(marked[1:], (), "stop", 1), (result,), followed, unscored)


def stored(folder: Path, *records: CaseRecord, path: str = "quant/people.slice.yaml") -> Path:
    """A run in a file, its slice file beside it; the candidates are all variants but fp16."""
    names = dict.fromkeys(each.slice for each in records)
    report = run(*((name, [each for each in records if each.slice == name]) for name in names))
    specs = dict.fromkeys(spec for each in records for spec in each.outcomes)
    candidates = tuple(VariantRecord(spec, "") for spec in specs if spec != "fp16")
    slices = tuple(SliceRecord(name, "", path.replace("people", name), len(records)) for name in names)
    if not Path(path).is_absolute():
        for each in slices:
            file = folder / each.path
            file.parent.mkdir(exist_ok=True, parents=True)
            file.write_text(SLICE + f"  - {{id: {records[0].case.id}, prompt: p, checks: [refusal]}}\n")
    file = folder / "run.json"
    write(replace(report, candidates=candidates, slices=slices, gates=()), file)
    return file


def rows_of(sheet: Path) -> list[dict[str, str]]:
    """What a spreadsheet shows of a sheet."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(sheet: Path, label: Callable[[dict[str, str]], str]) -> None:
    """Label every row."""
    rows = rows_of(sheet)
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "label": label(row)} for row in rows)
