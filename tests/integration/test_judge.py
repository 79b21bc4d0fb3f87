"""Gated runs whose cases a judge decides: a real server of transformers, and one that says what a test wants."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.checks.judge.verdicts import VerdictCache, verdict_folder
from pytest_quantgate.plugin import answers
from tests.integration.conftest import Lab
from tests.unit.checks.judge.conftest import Reply, Server, server  # noqa: F401  (a fixture)

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
def test_an_interrupt_waits_for_no_verdict_and_keeps_those_that_came(
    lab: Lab,
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged(lab)
    server.says('{"verdict": "pass", "reason": "warm"}')
    replies, go_on = server.next, threading.Event()

    def slow(body: dict[str, Any], key: str | None) -> Reply:
        found = replies(body, key)
        if len(server.asked) == 2:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            go_on.wait(60)  # then there would be two verdicts
        return found

    monkeypatch.setattr(server, "next", slow)
    monkeypatch.setattr(answers, "JUDGED_AT_ONCE", 1)
    url = f"http://127.0.0.1:{server.port}/v1#big"
    result = lab.run("--quant-judge", url)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["quantgate: interrupted: 6 answers are kept*"])
    assert VerdictCache(verdict_folder()).count() == 1
    go_on.set()
    lab.run("--quant-judge", url).assert_outcomes(passed=4)


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
