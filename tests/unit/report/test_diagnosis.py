"""How a diagnosis is written, read back, and told on a terminal and in Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from pytest_quantgate.diagnosis.model import NO_VARIANT, Diagnosis, Mode, Repair, Trial
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.report.diagnosis import diagnosis_text
from pytest_quantgate.report.diagnosis_sentences import (
    carrying,
    counted,
    domino,
    looked_at,
    nearest_trial,
    repair_lines,
    standing,
    token,
)
from pytest_quantgate.report.diagnosis_sheets import MOST_ROWS, curves_sheet, evenly, trials_sheet, values_sheet
from pytest_quantgate.report.markdown import markdown_report
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.tables import PAGE
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import typical
from tests.unit.report.diagnosed import BEFORE, CHOSEN, REPAIR, SPEC, diagnosis, few, hostile, with_diagnoses
from tests.unit.report.test_markdown import HOSTILE, refuse_anything_live
from tests.unit.report.valid import problems, valid


def told(each: Diagnosis, *, width: int = 100, verbose: bool = False) -> str:
    return diagnosis_text(with_diagnoses(each), each, width=width, color=False, verbose=verbose)


def test_a_diagnosis_reads_back_equal_and_is_valid() -> None:
    report = with_diagnoses(diagnosis())
    text = valid(report.to_json())
    assert RunReport.from_json(text) == report
    assert RunReport.from_json(text).to_json() == text


@pytest.mark.parametrize("mode", Mode)
def test_one_in_which_nothing_could_be_measured_reads_back_equal(mode: Mode) -> None:
    bare = Diagnosis("format", "fp16", "nf4", mode, (), diagnosis().sample)
    report = with_diagnoses(bare)
    assert RunReport.from_json(valid(report.to_json())) == report
    assert f"diagnosis of format on nf4: {mode.value}" in told(bare, verbose=True)


def test_a_diagnosis_takes_one_line_of_the_file() -> None:
    lines = with_diagnoses(diagnosis(), replace(diagnosis(), candidate="int8")).to_json().splitlines()
    start = lines.index(' "diagnoses": [')
    assert [json.loads(line.rstrip(","))["candidate"] for line in lines[start + 1 : start + 3]] == ["nf4", "int8"]


def test_mappings_of_any_kind_are_written() -> None:
    sample = replace(diagnosis().sample, left_out=MappingProxyType({"too long": 2}))
    report = with_diagnoses(replace(diagnosis(), sample=sample))
    assert RunReport.from_json(report.to_json()).diagnoses[0].sample.left_out == {"too long": 2}


def test_a_number_that_is_none_is_written_as_undefined() -> None:
    odd = replace(diagnosis().curves[0], values=(float("nan"), float("inf"), 1.0), at=(0, 1, 2))
    text = valid(with_diagnoses(replace(diagnosis(), curves=(odd,))).to_json())
    assert RunReport.from_json(text).diagnoses[0].curves[0].values == (None, None, 1.0)


def _refused(change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(with_diagnoses(diagnosis(2)).to_json())
    change(document["diagnoses"][0])
    with pytest.raises(QuantgateError) as caught:
        RunReport.from_json(json.dumps(document))
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda value: value.pop("mode"), "mode"),
        (lambda value: value.update(mode="tired"), "mode"),
        (lambda value: value.update(slice="math"), "the diagnosis of 'nf4' on 'math' is of no candidate"),
        (lambda value: value.update(candidate="int8"), "the diagnosis of 'int8' on 'format' is of no candidate"),
        (lambda value: value["curves"][1]["at"].pop(), "report.diagnoses[0].curves[1] has 3 values at 2 places"),
        (lambda value: value["curves"][0].update(at=[0, 2, 2]), "curves[0] has places that do not ascend"),
        (lambda value: value["grids"][0]["rows"].pop(), "grids[0] is not of 1 rows and 2 columns"),
        (lambda value: value["grids"][0]["values"][1].append(1.0), "grids[0] is not of 2 rows and 2 columns"),
        (lambda value: value["grids"][0]["values"][1].append("x"), "grids"),
        (lambda value: value["repair"]["chosen"].update(stage="decoded"), "repair.chosen was not verified"),
        (lambda value: value["repair"]["verdicts"].update(format="GREAT"), "verdicts"),
        (lambda value: value["sample"]["left_out"].update(many=-1), "out of range"),
    ],
)  # fmt: skip
def test_what_could_not_be_told_is_refused(change: Callable[[dict[str, Any]], object], why: str) -> None:
    assert why in _refused(change)


def test_two_diagnoses_of_one_slice_and_candidate_are_refused() -> None:
    text = with_diagnoses(diagnosis(2), diagnosis(2)).to_json()
    with pytest.raises(QuantgateError, match=r"diagnosis \('format', 'nf4'\) stands in it twice"):
        RunReport.from_json(text)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, member in members for each in _paths(member, (*path, key)))]


@pytest.mark.parametrize("wrong", [None, -1, 1e308, -1e308, "text", "\ud800", [None]], ids=ascii)
def test_a_value_of_a_wrong_type_is_refused_or_harmless(wrong: object) -> None:
    short = few(1)
    short = replace(
        short, values=short.values[:1], curves=short.curves[-1:], grids=short.grids[:1], evidence=short.evidence[:1]
    )
    written = json.dumps({**json.loads(with_diagnoses(short).to_json()), "cases": []})
    for path in _paths(json.loads(written)["diagnoses"][0])[1:]:
        document = json.loads(written)
        parent = document["diagnoses"][0]
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = wrong
        try:
            read = RunReport.from_json(json.dumps(document))
        except QuantgateError:
            continue
        assert all(diagnosis_text(read, each, width=80, color=False, verbose=True) for each in read.diagnoses)
        assert RunReport.from_json(read.to_json()) == read


def test_the_schema_is_as_strict_about_a_diagnosis_as_the_reader() -> None:
    document = {**json.loads(with_diagnoses(diagnosis(2)).to_json()), "cases": []}
    for key in document["diagnoses"][0]:
        less = {name: value for name, value in document["diagnoses"][0].items() if name != key}
        assert problems({**document, "diagnoses": [less]}), key
    assert problems({**document, "diagnoses": [{**document["diagnoses"][0], "mode": "tired"}]})


def test_the_terminal_tells_verdict_evidence_token_domino_and_repair_in_few_lines() -> None:
    text = told(diagnosis(), width=80)
    flat = " ".join(text.split())
    for words in (
        "diagnosis of format on nf4: signal degradation",
        "looked at 12 degraded cases and 12 preserved as contrast, causal tests on 2",
        "left out: over the limit of 8,000 tokens: 2",
        "criteria measured: 5 of 6: 3 for degradation, 1 for collapse, 1 in between",
        "- 0.07 of the feed-forward gates change their sign: signal degradation (at most 0.15)",
        "median rank 1 → 3, mean probability 0.830 → 0.210",
        "with the first 0, 1, 2, 3, 4, 6 layers quantized, 100.0%, 66.7%, 41.7%, 25.0%, 8.3%, 0.0% of 12 cases keep",
        "keep the reference's token, under half from 2 on",
        "repair: keeping model.layers.0, model.layers.1, down_proj turns 9 of 12 degraded cases back and loses 1 of 12",
        "at 5.21 bits of a weight (now 4.50) and 95.2 MB (now 81.4 MB)",
        "verified, its gates: format PASS",
        f"pytest --quant-suite core --quant-ref fp16 --quant-cand {SPEC}",
    ):
        assert words in flat
    assert len(text.splitlines()) <= 25
    assert max(map(len, text.splitlines()[:-2])) <= 80


def test_more_is_told_when_it_is_asked_for() -> None:
    text = told(replace(diagnosis(), notes=("a", "b", "c", "d")), verbose=True, width=160)
    assert "restored by early patching" in text
    assert "One component quantized, down_proj" in text
    assert "most sensitive components" in text
    assert "note: d" in text
    assert "more notes in the report: 1" in told(replace(diagnosis(), notes=("a", "b", "c", "d")))


def test_the_run_tells_its_diagnoses_and_nothing_where_there_is_none() -> None:
    report = with_diagnoses(diagnosis())
    assert told(diagnosis(), width=80) in render(report, width=80, color=False)
    assert "trials of the search" not in render(report, width=80, color=False)
    assert "trials of the search" in render(report, width=80, color=False, breakdown=True)
    assert "diagnosis" not in render(typical(), width=80, color=False)
    assert "diagnosis" not in markdown_report(typical())


def test_a_divided_verdict_shows_both_sides_in_turn() -> None:
    said = [each.says for each in carrying(replace(diagnosis(), mode=Mode.MIXED))]
    assert said == [Mode.DEGRADATION, Mode.COLLAPSE, Mode.DEGRADATION, Mode.DEGRADATION]
    assert [each.says for each in carrying(replace(diagnosis(), mode=Mode.COLLAPSE))] == [Mode.COLLAPSE]


def test_nothing_is_told_of_what_was_not_measured() -> None:
    bare = Diagnosis(
        "format", "fp16", "nf4", Mode.INCONCLUSIVE, (), replace(diagnosis().sample, causal=(), left_out={})
    )
    assert (token(bare), domino(bare), carrying(bare)) == (None, None, ())
    assert counted(bare) == "criteria measured: 0 of 0; a verdict needs 4, each on at least 3 cases"
    assert looked_at(bare) == "looked at 12 degraded cases and 12 preserved as contrast"
    undefined = replace(next(each for each in diagnosis().curves if each.measure == "domino"), values=(None,) * 7)
    assert domino(replace(bare, curves=(undefined,))) is None
    alone = replace(bare, values=tuple(each for each in diagnosis().values if each.side == "candidate"))
    assert token(alone) == "the reference's token where the answers part: median rank 3, mean probability 0.210"


def test_without_a_verified_repair_none_is_recommended_and_the_nearest_is_told() -> None:
    def lines(repair: Repair | None) -> list[str]:
        return list(repair_lines(replace(diagnosis(), repair=repair), ()))

    none = Repair(BEFORE, (), None, reason="no layer helps")
    assert lines(None) == []
    assert lines(none) == ["none is recommended: no layer helps"]
    tried = replace(none, trials=REPAIR.trials)
    assert lines(tried)[1].startswith(
        "nearest of 3 trials, decoded only, greedy: keeping model.layers.0, model.layers.1"
    )
    text = told(replace(diagnosis(), repair=tried))
    assert "repair: none is recommended: no layer helps" in text
    assert "--quant-cand" not in text
    losing = replace(tried, trials=(replace(CHOSEN, turned_back=2, lost=3, stage="decoded"),))
    assert len(lines(losing)) == 1


def tried(spec: str, turned: int, degraded: int, lost: int = 0, **more: Any) -> Trial:
    """A trial of keeping what the spec names, of as many preserved cases as degraded ones."""
    whole: dict[str, Any] = {"spec": spec, "kept": (spec,), "stage": "screened", "way": "early layers", **more}
    return replace(CHOSEN, turned_back=turned, degraded=degraded, lost=lost, preserved=degraded, **whole)


def test_the_nearest_trial_is_told_by_what_its_last_stage_left_of_it() -> None:
    refuted, held = tried("a", 6, 6), tried("b", 3, 6)
    later = (replace(refuted, turned_back=2, lost=1, stage="decoded"), replace(held, stage="decoded"))
    repair = Repair(BEFORE, (refuted, held, *later), None)
    assert standing(repair) == later
    assert nearest_trial(repair) == later[1]
    assert "nearest of 2 trials, decoded only" in told(replace(diagnosis(), repair=repair), width=300)
    filed = replace(later[1], spec="mix:quant-repairs/mix.json", stage="verified", turned_back=0)
    repair = replace(repair, trials=(*repair.trials, filed))
    assert nearest_trial(repair) == later[0]
    repair = replace(repair, trials=(filed, replace(filed, kept=("c",), turned_back=5)))
    assert "trials, verified, and its gate did not pass, early" in told(replace(diagnosis(), repair=repair), width=300)


def test_the_nearest_trial_wins_the_largest_share_of_its_cases() -> None:
    few, many, decoded = tried("a", 3, 3), tried("b", 8, 20), tried("c", 1, 20, stage="decoded")
    assert nearest_trial(Repair(BEFORE, (few, many), None)) == few
    assert nearest_trial(Repair(BEFORE, (few, many, decoded), None)) == decoded  # it got farther


def test_what_no_variant_can_do_is_not_the_nearest() -> None:
    amplified = tried("nf4", 6, 6, kept=(), way=f"most confident layer amplified {NO_VARIANT}")
    assert nearest_trial(Repair(BEFORE, (amplified,), None)) is None
    assert nearest_trial(Repair(BEFORE, (amplified, tried("a", 1, 6)), None)) == tried("a", 1, 6)


def test_a_run_that_cannot_be_made_again_has_no_command_for_the_repair() -> None:
    report = replace(with_diagnoses(diagnosis()), base_command=())
    text = diagnosis_text(report, diagnosis(), width=100, color=False)
    assert "--quant-cand" not in text
    assert f"as a variant: {SPEC}" in text
    assert "as a variant" not in told(diagnosis())


def test_a_verdict_of_the_repair_that_is_no_pass_is_told_as_it_is() -> None:
    repair = replace(REPAIR, verdicts={"format": Verdict.INCONCLUSIVE})
    assert "its gates: format INCONCLUSIVE" in told(replace(diagnosis(), repair=repair))


def test_tables_have_a_row_for_each_layer_and_a_column_for_each_side() -> None:
    (reference, candidate) = [each for each in diagnosis().curves if each.measure == "lens_probability"]
    sheet = curves_sheet("lens_probability", "", [reference, candidate])
    assert sheet.headings == ("layer", "degraded\nreference", "degraded\ncandidate")
    assert sheet.rows[0] == ("0", "0", "0")
    assert sheet.rows[-1] == ("6", "0.900", "0.400")
    short = replace(candidate, at=(2, 9), values=(0.5, None))
    assert curves_sheet("x", "", [reference, short]).rows[-1] == ("9", "-", "-")
    by_measure = {(row[0], row[-1]): row[1:-1] for row in values_sheet(diagnosis()).rows}
    assert by_measure["Rank of the reference's token", "parting"] == ("1", "3", "1", "12")
    assert by_measure["Length of answers", "answer"] == ("-", "41.2", "-", "12")
    assert [row[5] for row in trials_sheet(REPAIR).rows] == ["now", "screened", "screened", "decoded", "chosen"]


def test_a_very_long_table_has_rows_evenly_chosen() -> None:
    rows = evenly(range(10_001), MOST_ROWS)
    assert (len(rows), rows[0], rows[-1]) == (MOST_ROWS, 0, 10_000)
    assert evenly([1, 2], 2) == [1, 2]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_untrusted_text_is_obeyed(text: str) -> None:
    report = hostile(text)
    page = markdown_report(report)
    refuse_anything_live(page)
    assert len(page) < PAGE
    for shown in (page, render(report, width=80, color=False), render(report, width=80, color=False, breakdown=True)):
        assert all(each.isprintable() for each in shown if each != "\n")


@pytest.mark.parametrize("text", [each for each in HOSTILE if "\ud800" not in each])
def test_any_text_survives(text: str) -> None:
    report = hostile(text)
    assert RunReport.from_json(report.to_json()).diagnoses == report.diagnoses


def test_markdown_tells_the_diagnosis_and_how_to_run_the_repair() -> None:
    page = markdown_report(with_diagnoses(diagnosis()))
    assert "### diagnosis\n\n- **signal degradation** `format` on `nf4`\n" in page
    assert f"```sh\npytest --quant-suite core --quant-ref fp16 --quant-cand {SPEC}\n```" in page
    assert page.index("### why") < page.index("### diagnosis") < page.index("### degraded cases")
