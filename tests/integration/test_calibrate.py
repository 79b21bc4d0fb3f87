"""Labels that people gave, and a limit on how well checks agree with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands.running import OK
from tests.integration.conftest import Lab
from tests.unit.cli.labelled import fill

LIMITS: dict[str, Any] = {"max_pass_to_fail": 1, "min_robustness": 0, "min_grader_agreement": 0.9}


def labelled(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[pytest.RunResult, Path]:
    """Run, draw a sheet, say that every answer is right, keep that; the run without labels, and their file."""
    monkeypatch.chdir(lab.pytester.path)
    result = lab.run("--quant-report-json=run.json")
    assert main(["calibrate", "run.json", "--sheet", "labels.csv", "--check", "exact"]) == OK
    fill(Path("labels.csv"), lambda _: "yes")
    assert main(["calibrate", "run.json", "--labels", "labels.csv", "--keep"]) == OK
    return result, lab.pytester.path / "golden" / "people" / "labels.jsonl"


def test_a_check_that_is_right_about_the_reference_and_wrong_about_the_candidate_fails_its_slice(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write("people", [lab.degraded(f"c{number}") for number in range(3)], **LIMITS)
    first, _ = labelled(lab, monkeypatch)
    assert first.ret == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(["*min_grader_agreement cannot be judged: no answer is labelled*"])

    second = lab.run("--junitxml=junit.xml")
    assert second.ret == pytest.ExitCode.TESTS_FAILED
    second.stdout.fnmatch_lines(
        [
            "*agreement of exact with people 0.0% (0 of 3 labels, 95% interval 0.0-56.1%*",
            "FAILED people.slice.yaml::gate[[]nf4] - FAIL: agreement of exact with people*",
        ]
    )
    assert "agreement of exact with people 0.0%" in Path("junit.xml").read_text(encoding="utf-8")


def test_labels_with_a_mistake_are_told_before_anything_is_asked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("people", [lab.degraded("c")], **LIMITS)
    _, path = labelled(lab, monkeypatch)
    with path.open("a", encoding="utf-8") as file:
        file.write("{\n")
    result = lab.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: golden/people/labels.jsonl:4: bad JSON*"])
