from __future__ import annotations

import json
from dataclasses import replace

from pytest_quantgate.report.breakdown import WORST_CLUSTERS, breakdown_sheets
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import CaseRecord
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, counted, record, run


def tagged(records: list[CaseRecord], tag: str) -> list[CaseRecord]:
    return [replace(each, case=replace(each.case, tags=(tag,))) for each in records]


def show(report: RunReport, *, breakdown: bool = True) -> str:
    return render(report, width=80, color=False, breakdown=breakdown)


MIXED = run(
    (
        "format",
        tagged(counted("format", pp=20, pf=10), "nested")
        + tagged([record("format", f"flat-{n}", PASSED if n else FAILED, PASSED) for n in range(10)], "flat"),
    )
)


def test_a_table_tells_each_tag_with_its_rate() -> None:
    lines = [" ".join(line.split()) for line in show(MIXED).splitlines()]

    assert "format by tag" in lines
    assert "flat 10 0 1 0.0% (0.0-27.8%) 1.000" in lines
    assert "nested 30 10 0 33.3% (19.2-51.2%) 0.667" in lines


def test_nothing_of_it_is_shown_unless_asked_for() -> None:
    assert "format by tag" not in show(MIXED, breakdown=False)
    assert "format fragility" not in show(MIXED, breakdown=False)


def test_fragility_margins_and_indicators_have_tables() -> None:
    text = " ".join(show(MIXED).split())

    assert "json 39 10 25.6% (14.6-41.1%)" in text
    assert "PASS→FAIL 10 10 0.03 100.0% (72.2-100.0%)" in text
    assert "over-refusal rate 40 0.0% 0.0% 0.0 (-8.8 to +8.8)" in text
    assert "truncation rate 40 2.5% 25.0% +22.5 (+6.8 to +38.0)" in text
    assert "length ratio 40 4.0 3.8 0.94 (0.91 to 0.97)" in text


def test_boundary_bins_come_with_what_they_cannot_tell() -> None:
    text = " ".join(show(MIXED).split())

    assert "PASS→FAIL falls into the last bin by construction" not in text  # one bin holds every case: no table
    two = replace(MIXED.cases[0].case, id="two", checks=MIXED.cases[0].case.checks * 2)
    half = replace(FAILED, results=(FAILED.results[0], PASSED.results[0]))
    cases = (*MIXED.cases, CaseRecord("format", two, {}, {"fp16": half, "nf4": half}))
    text = " ".join(show(replace(MIXED, cases=cases)).split())
    assert "format by boundary distance" in text
    assert "0.0-0.1 1 0 0 0.0% (0.0-79.3%) 1.000" in text
    assert "PASS→FAIL falls into the last bin by construction" in text
    assert "format by number of checks" in text


def test_the_worst_clusters_are_shown_and_the_others_counted() -> None:
    report = run(("format", counted("format", pp=60, pf=4, size=2)))
    (sheet,) = [
        each for each in breakdown_sheets("format", report.comparisons("format", "nf4")) if "cluster" in each.title[-1]
    ]

    assert len(sheet.rows) == WORST_CLUSTERS
    assert [row[0] for row in sheet.rows[:2]] == ["cluster-30", "cluster-31"]
    assert sheet.notes == (("22 more clusters are not shown.",),)


def test_it_is_written_for_other_readers_and_not_read_back() -> None:
    text = MIXED.to_json()
    document = json.loads(text)
    (row,) = document["breakdown"]

    assert (row["slice"], row["candidate"]) == ("format", "nf4")
    assert {each["kind"] for each in row["strata"]} == {"tag", "category", "checks", "boundary"}
    assert row["fragility"][0]["violated"] == 10
    assert row["margins"]["degraded"]["parted"] == 10
    assert {each["name"] for each in row["indicators"]} >= {"refusal_rate", "length_ratio", "loop_rate"}
    assert RunReport.from_json(json.dumps({**document, "breakdown": "anything"})) == MIXED


def test_a_candidate_without_an_answer_has_no_tables() -> None:
    text = show(run(("format", []), problem="it does not fit"))

    assert "by tag" not in text
    assert "indicators" not in text
