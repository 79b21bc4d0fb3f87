"""Ten thousand cases."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.conftest import Lab

CASES = 10_000
SECONDS = 3.0


def test_ten_thousand_cases_are_collected_in_three_seconds(lab: Lab) -> None:
    rows = ({"id": f"case-{number}", "prompt": "say it", "checks": [{"exact": "it"}]} for number in range(CASES))
    (lab.pytester.path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (lab.pytester.path / "words.slice.yaml").write_text("slice: words\ncases: rows.jsonl\n")
    began = time.process_time()
    result = lab.run("--co", "-qq")
    spent = time.process_time() - began
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"words.slice.yaml: {CASES}"])
    assert spent < SECONDS
