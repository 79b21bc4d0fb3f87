"""Gated runs whose cases a judge decides: a real server of transformers, and one that says what a test wants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import Lab
from tests.unit.checks.judge.conftest import Server, server  # noqa: F401  (a fixture)

RUBRIC = {"judge": "The answer is kind."}


def judged(lab: Lab, count: int = 3) -> None:
    prompts = list(lab.tiny.texts["fp16"])[:count]
    lab.write("kind", [{"id": f"case-{n}", "prompt": p, "checks": [RUBRIC]} for n, p in enumerate(prompts)])


def test_verdicts_decide_and_are_asked_for_once(lab: Lab, empty_cache: Path, server: Server) -> None:  # noqa: F811
    judged(lab)
    server.says('{"verdict": "pass", "reason": "warm"}')
    url = f"http://127.0.0.1:{server.port}/v1#big"
    lab.run("--quant-judge", url).assert_outcomes(passed=4)
    asked = len(server.asked)
    assert asked == 6
    lab.run("--quant-judge", url).assert_outcomes(passed=4)
    assert len(server.asked) == asked
    assert empty_cache.is_dir()


@pytest.mark.usefixtures("empty_cache")
def test_a_judge_without_a_verdict_is_asked_once_for_each_answer(lab: Lab, server: Server) -> None:  # noqa: F811
    judged(lab)
    server.says('{"verdict": "unsure", "reason": "both"}')
    result = lab.run("--quant-judge", f"http://127.0.0.1:{server.port}/v1#big", "--quant-report-json=run.json")
    result.stdout.fnmatch_lines(["*1 failed, 3 unscored*"])
    assert len(server.asked) == 6
    cases = json.loads((lab.pytester.path / "run.json").read_text())["cases"]
    assert all("not sure" in each["unscored"] for case in cases for each in case["outcomes"].values())


def test_without_a_judge_such_cases_are_unscored_and_the_gate_is_inconclusive(lab: Lab) -> None:
    judged(lab)
    result = lab.run("-rs")
    result.stdout.fnmatch_lines(["*1 failed, 3 unscored*"])
    result.stdout.fnmatch_lines(["*no judge is named: --quant-judge http://HOST:PORT/v1#MODEL*"])


def test_a_judge_that_is_not_there_is_told_and_the_run_ends(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_quantgate.checks.judge.endpoint.back_off", lambda *_, **__: 0.0)
    judged(lab)
    result = lab.run("--quant-judge", "http://127.0.0.1:1/v1#big", "-rs")
    result.stdout.fnmatch_lines(["*1 failed, 3 unscored*"])
    result.stdout.fnmatch_lines(["*the judge at http://127.0.0.1:1/v1 cannot be reached*"])


def test_an_endpoint_that_is_none_is_refused_at_once(lab: Lab) -> None:
    judged(lab)
    result = lab.run("--quant-judge", "localhost:8000")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --quant-judge: *not the URL of an endpoint*", "*write http://HOST:PORT/v1#MODEL*"]
    )


def test_a_served_model_that_says_something_else_than_a_verdict_leaves_the_case_unscored(
    lab: Lab, served_tiny: str
) -> None:
    judged(lab, 1)
    result = lab.run("--quant-judge", served_tiny, "-rs")
    result.stdout.fnmatch_lines(["*1 failed, 1 unscored*"])
    result.stdout.fnmatch_lines(["*the judge gave no verdict: *"])
