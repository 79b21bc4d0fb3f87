"""Limits of a slice file on what answers look like, beside whether they pass."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantgate.report.model import RunReport
from tests.integration.conftest import Lab


@pytest.mark.parametrize(
    ("limit", "value", "status"),
    [
        ("max_length_ratio", 2.0, pytest.ExitCode.OK),
        ("max_length_ratio", 0.5, pytest.ExitCode.TESTS_FAILED),
        ("max_refusal_drift", 0.1, pytest.ExitCode.OK),
        ("max_truncation_increase", 0.0, pytest.ExitCode.OK),
    ],
)
def test_a_limit_decides_beside_the_others(lab: Lab, limit: str, value: float, status: pytest.ExitCode) -> None:
    gate: dict[str, Any] = {limit: value}
    lab.write("words", lab.many(4), **gate)
    result = lab.run("--quant-report-json=run.json")
    assert result.ret == status
    (judged,) = RunReport.from_json((lab.pytester.path / "run.json").read_text()).gates
    finding = judged.finding(limit)
    assert finding is not None
    assert finding.bound == value
    if status is not pytest.ExitCode.OK:
        assert [reason for reason in judged.reasons if "0.5" in reason]


def test_clusters_have_a_limit_of_their_own(lab: Lab) -> None:
    cases = [{**case, "cluster": f"of-{number // 3}"} for number, case in enumerate(lab.many(9, degraded=1))]
    lab.write("words", cases, max_pass_to_fail=0.2, min_robustness=0.5)
    assert lab.run().ret == pytest.ExitCode.OK
    lab.write("words", cases, max_pass_to_fail=0.2, min_robustness=0.5, max_cluster_pass_to_fail=0.2)
    assert lab.run().ret == pytest.ExitCode.TESTS_FAILED


IMPOSSIBLE: dict[str, str] = {
    "max_length_ratio": "0",
    "max_refusal_drift": "1.5",
    "max_loop_increase": "-0.1",
    "max_truncation_increase": ".nan",
    "max_cluster_pass_to_fail": "0.1",  # without clusters
    "max_format_retry_increase": "0.1",  # without a check that parses
    "rule": "guess",
}


def test_limits_that_cannot_be_judged_are_told_with_their_lines(lab: Lab) -> None:
    told = []
    for limit, value in IMPOSSIBLE.items():
        file = lab.write(limit, [lab.preserved("one")])
        text = file.read_text().replace('"min_cases": 1', f'"{limit}": {value}')
        file.write_text(text)
        line = next(number for number, each in enumerate(text.splitlines(), start=1) if f'"{limit}":' in each)
        told.append(f"{limit}.slice.yaml:{line}: *{limit}*")
    result = lab.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines_random(told)
    result.stdout.no_fnmatch_line("*Traceback*")
