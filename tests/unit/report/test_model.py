from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Rule
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.model import Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.model import RunReport, timestamp
from pytest_quantgate.report.records import GateSettings
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, UNSCORED, anchored, counted, full, record, run, typical
from tests.unit.report.valid import valid

REPORT = typical()


def test_a_report_reads_back_equal() -> None:
    assert RunReport.from_json(REPORT.to_json()) == REPORT


@pytest.mark.parametrize("rule", ["point", "evidence"])
@pytest.mark.parametrize("size", [0, 3])
def test_floors_controls_looks_and_settings_read_back_equal(size: int, rule: Rule) -> None:
    report = full(size=size, rule=rule)
    read = RunReport.from_json(report.to_json())

    assert read == report
    assert read.controls
    assert all(gate.floor is not None for gate in read.gates)
    assert read.floor_variant is not None
    assert read.control_variants[0].bits == 2.0
    assert read.settings == GateSettings(alpha=0.1, inconclusive="pass", seed=7)


COUNTS = st.lists(st.integers(0, 6), min_size=4, max_size=4)
SHARES = st.floats(0, 1)


@settings(deadline=None, max_examples=25)
@given(
    counts=COUNTS,
    size=st.sampled_from([0, 2]),
    policy=st.builds(
        GatePolicy,
        rule=st.sampled_from(["point", "evidence"]),
        max_pass_to_fail=SHARES,
        min_robustness=SHARES,
        min_cases=st.integers(1, 5),
        max_unscored=SHARES,
        max_refusal_drift=st.none() | SHARES,
        max_truncation_increase=st.none() | SHARES,
        max_length_ratio=st.none() | st.floats(0.1, 10),
    ),
    shared=st.builds(
        GateSettings,
        alpha=st.floats(0.001, 0.499),
        inconclusive=st.sampled_from(["pass", "fail"]),
        seed=st.none() | st.integers(0, 2**32),
    ),
    bits=st.none() | st.floats(0, 32),
)
def test_any_run_reads_back_equal_and_writes_the_same_bytes(
    counts: list[int], size: int, policy: GatePolicy, shared: GateSettings, bits: float | None
) -> None:
    pp, ff, pf, fp = counts
    records = counted("format", pp=pp, ff=ff, pf=pf, fp=fp, size=size)
    report = run(("format", records), policy=policy)
    candidate = dataclasses.replace(report.candidates[0], bits=bits)
    report = dataclasses.replace(report, settings=shared, candidates=(candidate,), controls=report.gates)
    text = valid(report.to_json())
    read = RunReport.from_json(text)

    assert read == report
    assert read.to_json() == text
    assert render(read, width=80, color=False, breakdown=True) == render(report, width=80, color=False, breakdown=True)


def test_equal_reports_give_equal_bytes_and_reading_changes_none() -> None:
    assert typical().to_json() == REPORT.to_json()
    assert RunReport.from_json(REPORT.to_json()).to_json() == REPORT.to_json()


def test_the_order_of_a_mapping_does_not_reach_the_bytes() -> None:
    forth = dataclasses.replace(REPORT.reference, identity={"a": "1", "b": "2"})
    back = dataclasses.replace(REPORT.reference, identity={"b": "2", "a": "1"})

    assert (
        dataclasses.replace(REPORT, reference=forth).to_json() == dataclasses.replace(REPORT, reference=back).to_json()
    )


def test_the_terminal_says_the_same_of_a_report_that_was_read_back() -> None:
    assert render(RunReport.from_json(REPORT.to_json()), width=80, color=True) == render(REPORT, width=80, color=True)


def test_a_reader_without_this_package_finds_verdicts_and_rates() -> None:
    document = json.loads(REPORT.to_json())

    assert document["schema_version"] == 4
    assert document["verdict"] == "FAIL"
    assert document["gates"][0]["verdict"] == "FAIL"
    assert document["gates"][0]["rates"]["pass_to_fail_rate"] == 5 / 60
    assert document["gates"][0]["statistics"]["counts"] == {"pp": 55, "ff": 0, "pf": 5, "fp": 0}


def test_an_empty_run_is_a_report_and_never_a_pass() -> None:
    empty = run()

    assert RunReport.from_json(empty.to_json()) == empty
    assert empty.verdict is Verdict.INCONCLUSIVE


def test_the_worst_verdict_is_the_reports() -> None:
    good = record("format", "a", PASSED, PASSED)
    bad = record("math", "a", PASSED, FAILED)

    assert run(("format", [good])).verdict is Verdict.PASS
    assert run(("format", [good]), total=2).verdict is Verdict.INCONCLUSIVE
    assert run(("format", [good]), ("math", [bad])).verdict is Verdict.FAIL


def test_a_drift_gate_counts_for_the_verdict_and_no_gate_is_never_a_pass() -> None:
    report = anchored(drifted=0)
    assert report.verdict is Verdict.PASS
    assert anchored(drifted=4).verdict is Verdict.FAIL
    assert dataclasses.replace(report, gates=()).verdict is Verdict.INCONCLUSIVE


def test_degraded_cases_are_those_that_got_worse_and_not_every_miss() -> None:
    report = run(
        (
            "format",
            [
                record("format", "worse", PASSED, FAILED),
                record("format", "never", FAILED, FAILED),
                record("format", "better", FAILED, PASSED),
                record("format", "unknown", UNSCORED, FAILED),
            ],
        )
    )

    assert [each.case.id for each in report.degraded("format", "nf4")] == ["worse"]


def test_a_case_that_a_variant_did_not_answer_has_no_comparison() -> None:
    lost = dataclasses.replace(record("format", "a", PASSED, PASSED), outcomes={"fp16": PASSED})
    report = run(("format", [lost]))

    assert lost.comparison("fp16", "nf4") is None
    assert RunReport.from_json(report.to_json()) == report


@given(st.text(st.characters(exclude_categories=())), st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_any_answer_survives(text: str, margins: list[float]) -> None:
    answer = Outcome(Completion(text, (1,), "stop", 3, tuple(margins)), PASSED.results, passed=True)
    report = dataclasses.replace(run(), cases=(record("format", "a", PASSED, answer),))
    completion = RunReport.from_json(report.to_json()).cases[0].outcomes["nf4"].completion

    # in JSON two surrogates side by side are one character: the one exception to equality
    assert completion.text == json.loads(json.dumps(text))
    assert completion.margins == tuple(margins)


def test_a_lone_surrogate_makes_no_invalid_file() -> None:
    answer = Outcome(Completion("\ud800", (1,), "stop", 3), PASSED.results, passed=True)
    text = run(("format", [record("format", "a", PASSED, answer)])).to_json()

    assert text.isascii()
    assert RunReport.from_json(text).cases[0].outcomes["nf4"].completion.text == "\ud800"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_write_becomes_null(value: float) -> None:
    answer = Outcome(Completion("x", (1, 2), "stop", 3, (value, 0.5)), PASSED.results, passed=True)
    text = run(("format", [record("format", "a", PASSED, answer)])).to_json()

    assert "NaN" not in text
    assert "Infinity" not in text
    margins = RunReport.from_json(text).cases[0].outcomes["nf4"].completion.margins
    assert math.isnan(margins[0])
    assert margins[1] == 0.5


def test_a_recorded_answer_keeps_the_length_that_was_counted() -> None:
    answer = dataclasses.replace(PASSED, completion=Completion("yes", (), "unknown", 0, counted=3))
    report = run(("format", [record("format", "a", answer, answer)]))

    assert '"counted": 3' in report.to_json()
    assert RunReport.from_json(report.to_json()) == report
    assert "counted" not in REPORT.to_json()


def test_ten_thousand_cases_read_back() -> None:
    report = run(("big", [record("big", f"case-{n}", PASSED, PASSED) for n in range(10_000)]))

    assert RunReport.from_json(report.to_json()) == report


def test_the_time_is_utc_and_follows_source_date_epoch() -> None:
    assert timestamp({"SOURCE_DATE_EPOCH": "0"}) == "1970-01-01T00:00:00Z"
    assert timestamp({"SOURCE_DATE_EPOCH": "1763773323"}) == "2025-11-22T01:02:03Z"
    assert timestamp({}) > "2025"


@pytest.mark.parametrize("value", ["", "yesterday", "1.5", "9" * 30])
def test_a_source_date_epoch_that_is_no_time_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        timestamp({"SOURCE_DATE_EPOCH": value})


def test_reading_and_showing_a_report_imports_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(REPORT.to_json(), encoding="utf-8")
    program = (
        "import pathlib, sys\n"
        "from pytest_quantgate.report.model import RunReport\n"
        "from pytest_quantgate.report.terminal import render\n"
        "from pytest_quantgate.report.difference import side_by_side\n"
        "render(RunReport.from_json(pathlib.Path(sys.argv[1]).read_text('utf-8')), width=80, color=False)\n"
        "sys.exit(bool({'torch', 'transformers', 'scipy'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 0


def test_indicators_are_written_for_other_readers_and_follow_from_the_cases() -> None:
    written = json.loads(typical().to_json())["indicators"]
    (found,) = [each for each in written if (each["slice"], each["variant"]) == ("format", "nf4")]
    assert found == {
        "slice": "format",
        "variant": "nf4",
        "answers": 60,
        "empty": 0,
        "truncated": 5,
        "looping": 0,
        "wrong_script": 0,
        "mean_tokens": pytest.approx((55 * 4 + 5 * 3) / 60),
    }
    assert RunReport.from_json(typical().to_json()) == typical()
