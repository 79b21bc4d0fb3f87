"""--quant-fidelity: how near candidates stay to the reference's next-token probabilities along its answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_quantgate.outcomes.fidelity import fidelity_of
from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab


def report_of(lab: Lab) -> RunReport:
    return RunReport.from_json((lab.pytester.path / "run.json").read_text(encoding="utf-8"))


def test_each_candidate_is_measured_along_the_references_answers(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(6), max_pass_to_fail=1, min_robustness=0)
    options = ("--quant-fidelity", "--quant-report-json=run.json")
    first = lab.run(*options, candidates=("nf4", "fp32"))
    assert empty_cache.exists()
    first.stdout.fnmatch_lines(
        [
            "fp16, what the reference expects: 6 answers to read, 0 cached",
            "nf4, fidelity: 6 answers to read, 0 cached",
            "*words: *same top token at *% of *, KL divergence * nats a token",
            "*words: *same top token at 100.0% of *, KL divergence 0 nats a token",
        ]
    )
    report = report_of(lab)
    near, same = (fidelity_of(report.comparisons("words", spec)) for spec in ("nf4", "fp32"))
    assert near is not None
    assert same is not None
    assert near.tokens == same.tokens == sum(len(each.outcomes["fp16"].completion.token_ids) for each in report.cases)
    assert 0 < near.agreeing < near.tokens
    assert near.divergence > same.divergence == 0
    assert all(each.outcomes["fp16"].completion.fidelity is None for each in report.cases)
    again = lab.run(*options, candidates=("nf4", "fp32"))
    again.stdout.no_fnmatch_line("*to read*")
    assert report_of(lab).cases == report.cases
    plain = lab.run("--quant-report-json=run.json")
    plain.stdout.no_fnmatch_line("*KL divergence*")
    assert "fidelity" not in json.dumps(report_of(lab).to_json())


def test_a_second_turn_is_measured_along_the_references_own_chat(lab: Lab) -> None:
    first, second = (prompt for prompt in list(lab.tiny.texts["fp16"])[:2])
    turns = [{"prompt": prompt, "checks": ["comply"]} for prompt in (first, second)]
    lab.write("chat", [{"id": "two", "turns": turns}], max_pass_to_fail=1, min_robustness=0)
    lab.run("--quant-fidelity", "--quant-report-json=run.json")
    (record,) = report_of(lab).cases
    before, after = (record.outcomes[spec].turns for spec in ("fp16", "nf4"))
    measured = [turn.completion.fidelity for turn in after]
    assert None not in measured
    assert [each.tokens for each in measured if each] == [len(turn.completion.token_ids) for turn in before]


@pytest.mark.alone(reason="what is told does not depend on how tests are distributed")
def test_a_reference_that_does_not_run_here_has_nothing_to_measure_along(lab: Lab, at_home: None) -> None:  # noqa: ARG001
    lab.write("words", lab.many(3), max_pass_to_fail=1, min_robustness=0)
    lab.run("--quant-reanchor=all")
    result = lab.run("--quant-fidelity", "--quant-ref=golden:fp16")
    result.stdout.fnmatch_lines(["fidelity is not measured: transformers does not run the reference here"])
    result.stdout.no_fnmatch_line("*KL divergence*")
