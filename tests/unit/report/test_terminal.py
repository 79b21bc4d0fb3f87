from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
from rich.cells import cell_len

from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import VariantRecord
from pytest_quantgate.report.terminal import render
from tests.unit.report.build import FAILED, PASSED, UNSCORED, full, record, run, typical, with_summaries

TYPICAL = typical()


def plain(report: RunReport, width: int = 80) -> str:
    return render(report, width=width, color=False)


def lines(report: RunReport, width: int = 80) -> list[str]:
    return plain(report, width).splitlines()


def is_command(line: str) -> bool:
    return line.startswith(("    pytest ", "    quantgate "))


def row(report: RunReport, slice_name: str) -> str:
    """The cells of a slice's row, a space between them."""
    return next(" ".join(line.split()) for line in lines(report) if line.startswith(f"{slice_name} "))


def many_digits() -> RunReport:
    """Ten thousand cases in a slice with a long name, a long problem, and a limit with many digits."""
    records = [record("format", str(n), PASSED if n % 3 else FAILED, FAILED if n % 2 else PASSED) for n in range(10)]
    report = run(
        ("x" * 60, records),
        policy=GatePolicy(max_pass_to_fail=0.125),
        total=20,
        problem="a problem\nthat says " + "x" * 200,
    )
    (gate,) = report.gates
    counts = dataclasses.replace(gate.statistics.counts, pp=9_000, ff=1_000, pf=100, fp=100)
    statistics = dataclasses.replace(gate.statistics, counts=counts, unscored=10)
    return dataclasses.replace(report, gates=(dataclasses.replace(gate, statistics=statistics),))


@pytest.mark.parametrize("report", [TYPICAL, many_digits(), run()], ids=["typical", "long", "empty"])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_but_a_command_is_wider_than_the_terminal(report: RunReport, width: int) -> None:
    assert [line for line in lines(report, width) if cell_len(line) > width and not is_command(line)] == []


def test_no_number_is_cut_short() -> None:
    text = plain(many_digits())

    assert "…" not in text
    assert "xxxxxxxx 10210 9000 1000 100 100 10 89→89% 0.700 1.0% (12.5%) INCONCLUSIVE" in " ".join(text.split())


def test_a_terminal_narrower_than_the_table_gets_the_table_of_80_columns() -> None:
    assert plain(TYPICAL, 40) == plain(TYPICAL, 80)


def test_color_adds_ansi_codes_and_changes_no_text() -> None:
    colored = render(TYPICAL, width=80, color=True)

    assert "\x1b[" in colored
    assert [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", colored).splitlines()] == lines(TYPICAL)
    assert "\x1b" not in plain(TYPICAL)


def test_a_row_tells_transitions_rates_limit_and_verdict() -> None:
    assert row(TYPICAL, "format") == "format 60 55 0 5 0 0 100→92% 0.917 8.3% (5%) FAIL"
    assert row(TYPICAL, "long-context") == "long-context 64 64 0 0 0 0 100→100% 1.000 0.0% (5%) PASS"
    assert row(TYPICAL, "refusals") == "refusals 12 11 0 0 0 1 100→100% 1.000 0.0% (5%) INCONCLUSIVE"


def test_a_rate_just_above_its_limit_does_not_read_as_equal() -> None:
    records = [record("format", str(n), PASSED, FAILED if n < 251 else PASSED) for n in range(5000)]

    assert "5.02% (5%) FAIL" in row(run(("format", records)), "format")


def test_what_is_undefined_is_no_number() -> None:
    report = run(("format", [record("format", "a", UNSCORED, PASSED)]))

    assert row(report, "format") == "format 1 0 0 0 0 1 - - - (5%) INCONCLUSIVE"


def test_the_reasons_stand_under_the_table_for_every_gate_that_did_not_pass() -> None:
    text = plain(TYPICAL)

    assert "FAIL format\n  - PASS→FAIL 5 of 60 (8.3%, 95% interval 3.6-18.1%) is above 5.0%\n" in text
    assert "INCONCLUSIVE refusals\n  - too few cases: 11 scored, a verdict needs 30\n" in text
    assert "PASS long-context" not in text


def test_every_interval_is_printed_with_the_cases_that_would_decide() -> None:
    text = " ".join(plain(TYPICAL).split())

    assert "format 3.6-18.1% (165 cases would decide)" in text
    assert "long-context 0.0-5.7% (73 cases would decide)" in text


def test_the_audit_shows_that_the_candidate_was_quantized() -> None:
    text = " ".join(plain(TYPICAL).split())

    assert "nf4: 210 of 211 linear modules quantized, 4.13 bits per weight, 101.5 MB against 269.0 MB (38%)" in text
    assert "linear modules" not in plain(run(("format", []), audited=False))


def test_each_variant_says_what_it_is_and_by_which_kernels_it_answered() -> None:
    control = VariantRecord("int2", "4e5f", summary="broken on purpose")
    text = " ".join(plain(dataclasses.replace(with_summaries(full()), control_variants=(control,))).split())

    assert "nf4: 4-bit NormalFloat (bitsandbytes); dense kernels nf4: 210 of 211 linear modules quantized" in text
    assert "reference fp16: weights rounded to float16, nothing quantized; native kernels" in text
    assert "positive control int2: broken on purpose " in text


def test_what_nobody_tells_of_a_variant_is_not_told() -> None:
    (candidate,) = with_summaries(TYPICAL).candidates
    earlier = dataclasses.replace(TYPICAL, candidates=(dataclasses.replace(candidate, summary=None),))

    assert "nf4: dense kernels\n" in plain(earlier)
    assert "reference fp16:" not in plain(earlier)
    assert "kernels" not in plain(TYPICAL)


def test_a_failing_slice_comes_with_the_line_that_reruns_its_degraded_cases() -> None:
    (command,) = [line.strip() for line in lines(TYPICAL) if is_command(line)]
    *base, option, keyword = shlex.split(command)

    assert base == list(TYPICAL.base_command)
    assert option == "-k"
    assert keyword.split(" or ") == [f"format::person-{n}[nf4]" for n in range(5)]


def test_many_degraded_cases_are_counted_and_not_all_named() -> None:
    text = plain(run(("format", [record("format", f"case-{n}", PASSED, FAILED) for n in range(25)])))

    assert "run the 25 degraded cases of format on nf4 again, the first 10:" in text
    assert "... and 15 more" in text
    assert "case-9[nf4]" in text
    assert "case-10[nf4]" not in text


def test_a_partial_run_is_told_how_to_get_a_verdict() -> None:
    report = run(("format", [record("format", "a", PASSED, PASSED)]), total=60)

    assert "every case" in plain(report)
    assert "    pytest --quant-suite core --quant-ref fp16 --quant-cand nf4\n" in plain(report)


def test_a_run_that_was_not_kept_says_how_to_keep_one() -> None:
    records = [record("format", "a", PASSED, PASSED)]

    assert "--quant-report-json run.json" in plain(run(("format", records)))
    kept = plain(run(("format", records), report_path="my run.json"))
    assert "--quant-report-json" not in kept
    assert "    quantgate report 'my run.json'\n" in kept


def test_a_red_gate_is_told_how_to_look_into_it() -> None:
    records = [record("format", f"case-{n}", PASSED, FAILED) for n in range(40)]
    kept = run(("format", records), report_path="run.json")
    renamed = [
        dataclasses.replace(each, outcomes={"golden:fp16": each.outcomes["fp16"], "nf4": each.outcomes["nf4"]})
        for each in kept.cases
    ]
    anchored = dataclasses.replace(
        kept, reference=dataclasses.replace(kept.reference, spec="golden:fp16"), cases=tuple(renamed)
    )

    assert "    quantgate show run.json 'format::case-0[nf4]'\n" in plain(anchored)
    assert "    quantgate show run.json 'format::case-0[nf4]'\n" in plain(kept)
    assert "    quantgate diagnose run.json --slice format --candidate nf4\n" in plain(kept)
    for silent in (
        run(("format", records)),
        run(("format", [record("format", f"case-{n}", PASSED, PASSED) for n in range(40)]), report_path="run.json"),
        dataclasses.replace(kept, base_command=()),
        anchored,
    ):
        assert "quantgate diagnose" not in plain(silent)


def test_a_candidate_that_could_not_run_shows_its_problem_and_no_numbers() -> None:
    report = run(("format", []), problem="model.safetensors: the file is truncated\n  download it again", audited=False)
    text = plain(report)

    assert "  - model.safetensors: the file is truncated\n      download it again\n" in text
    assert "95% intervals" not in text
    assert re.search(r"^format( +-){8} +- \(5%\) +INCONCLUSIVE$", text, re.MULTILINE)


def test_text_from_outside_cannot_act_on_the_terminal() -> None:
    evil = "\x1b[2J[red]\u202e\ud800"
    report = run((evil, [record(evil, evil, PASSED, FAILED)]), candidate=evil, problem=evil, report_path=evil)
    report = with_summaries(report, evil)
    for color in (True, False):
        text = render(dataclasses.replace(report, model=evil, device=evil), width=200, color=color)

        assert "\x1b[2J" not in text
        assert "\u202e" not in text
        assert r"\x1b[2J[red]\u202e\ud800" in text
        assert text.encode()


def test_each_candidate_has_a_table_of_its_own() -> None:
    one, two = TYPICAL, run(("format", [record("format", "a", PASSED, PASSED, "int8")]), candidate="int8")
    both = dataclasses.replace(one, candidates=one.candidates + two.candidates, gates=one.gates + two.gates)
    text = plain(both)

    assert text.index("candidate nf4 against reference fp16") < text.index("candidate int8 against reference fp16")
    assert text.count("slice ") >= 2
    assert text.count("what to do next") == 1


def test_the_health_of_the_answers_is_told_beside_the_verdicts() -> None:
    looping = dataclasses.replace(
        FAILED, completion=dataclasses.replace(FAILED.completion, text="no " * 30, token_ids=(1,) * 30)
    )
    records = [record("format", str(n), PASSED, looping if n else PASSED) for n in range(3)]
    text = plain(run(("format", records)), 200)
    assert (
        "answers, fp16→nf4 (no gate judges by these):\n  format: 4→21 tokens on average, 0→2 cut off, 0→2 loops,"
        " 0→2 do not parse, median margin where answers part 1.50 nats (P→F)\n" in text
    )


def test_how_sure_the_reference_was_where_answers_part_is_told_of_degraded_and_of_preserved_cases() -> None:
    other = dataclasses.replace(PASSED, completion=dataclasses.replace(PASSED.completion, token_ids=(5, 7, 7, 8)))
    same = record("format", "same", PASSED, PASSED)
    parted = [record("format", "worse", PASSED, FAILED), record("format", "reworded", PASSED, other)]
    text = " ".join(plain(run(("format", [same, *parted]))).split())

    assert "median margin where answers part 0.03 nats (P→F), 0.25 nats (P→P)" in text
    assert "median margin" not in plain(run(("format", [same])))


def test_prompts_without_an_answer_have_no_health() -> None:
    assert "no gate judges by these" not in plain(run(("format", [record("format", "one", UNSCORED, UNSCORED)])))
