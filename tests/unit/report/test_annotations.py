from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.report.annotations import LONGEST, MOST, workflow_commands
from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import FAILED, PASSED, anchored, counted, record, run, typical

FORM = re.compile(
    r"::(?P<kind>error|warning) (?:file=(?P<file>[^,:]*),line=(?P<line>\d+),)?title=(?P<title>[^,:]*)::(?P<message>.*)"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    return tmp_path / "repo"


def told(report: RunReport, workspace: Path | None, folder: Path) -> list[dict[str, str | None]]:
    """The commands as the runner reads them."""
    found = [FORM.fullmatch(line) for line in workflow_commands(report, folder=folder, workspace=workspace)]
    assert None not in found
    return [match.groupdict() for match in found if match is not None]


def unescaped(text: str | None) -> str:
    text = (text or "").replace("%3A", ":").replace("%2C", ",").replace("%0A", "\n").replace("%0D", "\r")
    return text.replace("%25", "%")


def test_what_does_not_pass_is_an_error_at_its_slice_and_its_degraded_cases_are_warnings(workspace: Path) -> None:
    report = typical()
    report = replace(report, slices=tuple(replace(each, line=3) for each in report.slices))
    found = told(report, workspace, workspace)
    assert [(each["kind"], each["file"], each["line"]) for each in found] == [
        ("error", "suites/format.slice.yaml", "3"),
        ("error", "suites/refusals.slice.yaml", "3"),
        *[("warning", "suites/format.slice.yaml", "12")] * 5,
    ]
    assert [unescaped(each["title"]) for each in found[:3]] == [
        "FAIL: gate of nf4 on format",
        "INCONCLUSIVE: gate of nf4 on refusals",
        "degraded: format::person-0[nf4]",
    ]
    assert unescaped(found[0]["message"]).startswith("PASS→FAIL 5 of 60 (8.3%, 95% interval")
    assert unescaped(found[2]["message"]) == "json: line 1 column 19: expected a key in quotes"


def test_a_run_that_passes_says_nothing(workspace: Path) -> None:
    assert told(run(("format", counted("format", pp=60, pf=1))), workspace, workspace) == []


def test_a_drift_gate_is_told_like_any_other(workspace: Path) -> None:
    (only,) = told(anchored(), workspace, workspace)
    assert (only["kind"], unescaped(only["title"])) == ("error", "FAIL: drift of nf4 on format")


def test_a_gate_that_is_excused_is_a_warning_and_no_other_one(workspace: Path) -> None:
    report = run(("format", counted("format", pp=2)), ("math", counted("math", pp=2)), policy=GatePolicy(min_cases=30))
    lines = workflow_commands(report, folder=workspace, workspace=workspace, excused=[report.gates[1]])
    assert [line.partition(",title")[0] for line in lines] == [
        "::error file=suites/format.slice.yaml,line=1",
        "::warning file=suites/math.slice.yaml,line=1",
    ]


def test_paths_are_seen_from_the_workspace_wherever_the_run_was_started(workspace: Path) -> None:
    inner = workspace / "models" / "a,b:c%"
    inner.mkdir(parents=True)
    (link := workspace.parent / "link").symlink_to(workspace)
    (first, *_) = told(typical(), link, inner)
    assert unescaped(first["file"]) == "models/a,b:c%/suites/format.slice.yaml"


def test_what_is_not_in_the_workspace_has_no_file(workspace: Path) -> None:
    for place, root in ((workspace.parent, workspace), (workspace, None)):
        assert {each["file"] for each in told(typical(), root, place)} == {None}


def test_no_more_are_told_than_github_shows_and_the_worst_first(workspace: Path) -> None:
    report = run(*((f"slice-{n}", counted(f"slice-{n}", pp=10, pf=n)) for n in range(1, 15)))
    found = told(report, workspace, workspace)
    assert [each["kind"] for each in found] == ["error"] * MOST + ["warning"] * MOST
    assert "slice-14" in str(found[0]["title"])


@given(st.text())
def test_no_text_ends_its_command_or_begins_another(text: str) -> None:
    broken = replace(FAILED, results=(CheckResult(text, followed=False, reason=text),))
    report = run((f"s{text}", [record(f"s{text}", "a", PASSED, broken)]))
    gate = replace(report.gates[0], reasons=(text,))
    here = Path.cwd()
    found = told(replace(report, gates=(gate,)), here, here)
    assert [each["kind"] for each in found] == ["error", "warning"]
    for each in found:
        assert all(character.isprintable() for value in each.values() for character in value or "")


def test_a_long_message_is_cut(workspace: Path) -> None:
    report = typical()
    gates = tuple(replace(each, reasons=("%" * 100_000,)) for each in report.gates)
    assert max(len(each["message"] or "") for each in told(replace(report, gates=gates), workspace, workspace)) == (
        3 * LONGEST
    )
