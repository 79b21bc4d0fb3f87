"""Reports keep what a case asks about."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import FAILED, PASSED, case, record, run
from tests.unit.report.valid import valid


def test_a_subject_survives_the_file() -> None:
    asked = replace(case("fact"), subject="Alice")
    report = run(("facts", [replace(record("facts", "fact", PASSED, FAILED), case=asked)]))
    assert RunReport.from_json(valid(report.to_json())) == report


def test_a_case_without_one_has_no_such_key() -> None:
    (written,) = json.loads(run(("facts", [record("facts", "fact", PASSED, FAILED)])).to_json())["cases"]
    assert "subject" not in written["case"]
