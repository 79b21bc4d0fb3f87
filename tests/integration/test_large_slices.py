"""Ten thousand cases; benchmarks/collection.py says how long they take."""

from __future__ import annotations

import json

import pytest

from tests.integration.conftest import Lab

pytestmark = pytest.mark.alone(reason="ten thousand cases take seconds, and workers would collect the same")

CASES = 10_000


@pytest.mark.parametrize("tag", ["one", "tag-{}"])
def test_ten_thousand_cases_are_collected(lab: Lab, tag: str) -> None:
    rows = (
        {"id": f"case-{number}", "prompt": "say it", "checks": [{"exact": "it"}], "tags": [tag.format(number)]}
        for number in range(CASES)
    )
    (lab.pytester.path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (lab.pytester.path / "words.slice.yaml").write_text("slice: words\ncases: rows.jsonl\n")
    result = lab.run("--co", "-qq")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"words.slice.yaml: {CASES}"])
