"""What tests of goldens share: reading a golden, and changing it as a person or an earlier run might have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import GoldenRecord
from tests.integration.conftest import Lab


def golden_file(lab: Lab, variant: str = "nf4", name: str = "words") -> Path:
    return lab.pytester.path / "golden" / name / f"{variant}.jsonl"


def contents(lab: Lab) -> dict[str, bytes]:
    """Everything below the folders of goldens."""
    folder = lab.pytester.path / "golden"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(lab: Lab, variant: str = "nf4") -> dict[str, dict[str, Any]]:
    """The cases of a golden, by id."""
    _, *lines = golden_file(lab, variant).read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def edit(lab: Lab, case: str, change: Callable[[dict[str, Any]], None], variant: str = "nf4") -> None:
    """Change one case of a golden."""
    file = golden_file(lab, variant)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for row in found:
        if row["id"] == case:
            change(row)
    file.write_text("".join(f"{line}\n" for line in (head, *map(json.dumps, found))), encoding="utf-8")


def edit_identity(lab: Lab, variant: str = "nf4", **fields: str) -> None:
    """Change the identity of all anchors, as if they were made by another variant."""
    file = golden_file(lab, variant)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    header = json.loads(head)
    for anchor in header["anchors"].values():
        anchor["identity"] |= fields
        anchor["digest"] = digest_of(anchor["identity"])
    file.write_text("".join(f"{line}\n" for line in (json.dumps(header), *lines)), encoding="utf-8")


def violated(row: dict[str, Any]) -> None:
    """As if the case had failed, with another answer."""
    row["results"][0] |= {"followed": False, "reason": "it was wrong then"}
    row["answers"][0]["text"] = "something else"


def reworded(row: dict[str, Any]) -> None:
    row["answers"][0]["text"] = "something else"


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text(encoding="utf-8"))


def record_of(report: RunReport, variant: str = "nf4", name: str = "words") -> GoldenRecord:
    (record,) = (each for each in report.goldens if (each.slice, each.variant) == (name, variant))
    return record


def states(record: GoldenRecord) -> dict[str, str]:
    return {each.case_id: each.state for each in record.standings}
