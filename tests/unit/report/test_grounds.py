from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.outcomes.statistics import summarize
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, counted, full, record, run

POINT = full(rule="point", seed=None)
EVIDENCE = full(size=2)


def flat(report: RunReport) -> str:
    return " ".join(render(report, width=80, color=False).split())


def test_beside_raw_rates_stands_what_gates_judge_beyond_the_noise_floor() -> None:
    assert "judged beyond the noise floor: format P→F +3.3 (-1.3 to +9.2) points, R 0.967" in flat(POINT)


def test_what_is_not_proven_is_told_with_the_command_that_says_what_could_be() -> None:
    again = "pytest --quant-suite core --quant-ref fp16 --quant-cand nf4 --quant-dry-run"

    assert f"to see what each slice can prove: {again}" in flat(EVIDENCE)
    assert "--quant-dry-run" not in flat(POINT)


def test_the_noise_floor_is_told_by_slice_with_its_interval() -> None:
    assert (
        "noise floor, P→F of fp16 against itself run another way: format 0 of 91 (0.0-4.1%), math 0 of 90 (0.0-4.1%)"
    ) in flat(POINT)


def test_controls_that_do_what_they_must_are_one_line_each() -> None:
    text = flat(POINT)

    assert "positive control int2: seen in format, math negative control fp16 (again): passes in format, math" in text
    assert "BLIND" not in text


def test_a_slice_that_does_not_see_the_control_is_called_blind() -> None:
    controls = [
        replace(gate, verdict=Verdict.PASS) if (gate.slice, gate.role) == ("math", "positive control") else gate
        for gate in POINT.controls
    ]
    text = flat(replace(POINT, controls=tuple(controls)))

    assert "positive control int2: seen in format; BLIND: math (PASS)" in text


def test_a_control_that_gave_no_answers_is_not_called_unseen() -> None:
    nothing = summarize([])
    controls = tuple(
        replace(gate, verdict=Verdict.INCONCLUSIVE, statistics=nothing) if gate.role == "positive control" else gate
        for gate in POINT.controls
    )
    text = flat(replace(POINT, controls=controls))

    assert "positive control int2: no answers in format, math" in text
    assert "BLIND" not in text


def test_a_negative_control_that_does_not_pass_is_told() -> None:
    controls = tuple(replace(gate, verdict=Verdict.FAIL) for gate in POINT.controls)

    assert "negative control fp16 (again): does NOT pass: format (FAIL), math (FAIL)" in flat(
        replace(POINT, controls=controls)
    )


def test_a_sequential_run_tells_its_seed_and_what_it_saved() -> None:
    """Ten cases were not asked of the reference, the candidate, the control and the floor."""
    text = flat(EVIDENCE)

    assert "sequential, seed 7: cases asked: format 91 of 91, math 90 of 100; 40 answers saved" in text
    assert "sequential" not in flat(POINT)


def test_a_reference_that_was_never_asked_saved_no_answers() -> None:
    anchored = replace(
        EVIDENCE,
        reference=replace(EVIDENCE.reference, spec="golden:fp16"),
        cases=tuple(
            replace(
                each,
                outcomes={f"golden:{spec}" if spec == "fp16" else spec: found for spec, found in each.outcomes.items()},
            )
            for each in EVIDENCE.cases
        ),
    )

    assert "math 90 of 100; 30 answers saved" in flat(anchored)


def test_clusters_are_told_as_reliable_at_k() -> None:
    assert "format, reliable@2: all cases pass in 91.1% → 88.9% of 45 clusters, 1 P→F and 0 F→P" in flat(EVIDENCE)
    assert "reliable@" not in flat(POINT)


def test_mcnemar_is_told_where_something_changed() -> None:
    report = run(("format", counted("format", pp=20, pf=8, fp=1)), ("math", counted("math", pp=20)))

    assert "exact McNemar p of P→F against F→P: format 0.0391 " in flat(report)
    assert "McNemar" not in flat(run(("math", counted("math", pp=20))))


def test_an_indicator_that_a_limit_judges_is_told_apart_from_those_that_none_does() -> None:
    records = [record("format", str(n), PASSED, FAILED if n < 3 else PASSED) for n in range(40)]
    free = flat(run(("format", records)))
    policy = GatePolicy(min_cases=1, max_pass_to_fail=0.5, max_truncation_increase=0.2, max_length_ratio=1.5)
    judged = flat(run(("format", records), policy=policy))

    assert "(no gate judges by these): format: 4→4 tokens on average, 0→3 cut off, 0→3 do not parse" in free
    assert "judged by limits" not in free
    assert "(judged by limits): format: truncation rate changed by +7.5 (" in judged
    assert "points, limit +20.0; length ratio 0.98 (" in judged
    assert "limit 1.50" in judged
    assert "(no gate judges by these): format: 0→3 do not parse" in judged


def test_evidence_brings_its_adjusted_p_in_the_reasons() -> None:
    text = flat(EVIDENCE)

    assert "INCONCLUSIVE format" in text
    assert "adjusted for 2 gates, at alpha 0.05" in text


def test_a_pass_that_is_proven_brings_its_adjusted_p_too() -> None:
    policy = GatePolicy(rule="evidence", min_cases=1, max_pass_to_fail=0.1)
    report = run(("format", counted("format", pp=120)), ("math", counted("math", pp=120)), policy=policy)
    text = flat(report)

    assert "PASS proven, p adjusted for 2 gates, at alpha 0.05: format <0.0001, math <0.0001" in text
    assert "PASS proven" not in flat(POINT)


def test_a_run_without_any_of_this_has_no_line_about_it() -> None:
    text = flat(run(("format", counted("format", pp=40))))

    for word in ("noise floor", "control", "sequential", "reliable@", "McNemar", "judged", "fall begins"):
        assert word not in text


@pytest.mark.parametrize("report", [POINT, EVIDENCE], ids=["point", "evidence"])
def test_recorded_answers_have_no_place_and_cannot_be_made_again(report: RunReport) -> None:
    recorded = replace(report, base_command=(), model="recorded answers", device="-", compute_dtype="-")
    text = flat(recorded)

    assert "candidate nf4 against reference fp16 (recorded answers) " in text
    assert "to keep a run as JSON, add --report-json run.json to the command" in text
    assert "-k" not in text
    assert "quant-report-json" not in text


def test_recorded_answers_say_what_writes_their_html_and_markdown() -> None:
    recorded = replace(POINT, base_command=())
    options = "--html run.html --markdown comment.md"

    assert f"quantgate report run.json {options}" in flat(replace(recorded, report_path=None))
    assert f"quantgate report 'my run.json' {options}" in flat(replace(recorded, report_path="my run.json"))


@pytest.mark.parametrize("path", [None, "run.json"])
def test_a_run_of_pytest_has_options_of_its_own_for_them(path: str | None) -> None:
    assert "--html" not in flat(replace(POINT, report_path=path))
