"""Gated runs against served models: a real server of transformers, and one in front of it that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_quantgate.generation import served_client
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.served_client import Limits
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.variants.address import KEY_VARIABLE
from tests.faulty import DROP, STALL, Asked, FaultyServer, Patience, Reply, Says, chat, of
from tests.integration.conftest import Lab
from tests.served import TINY_INSTRUCT, serving

KEY = "sk-very-secret"


@pytest.fixture(scope="module")
def served_bnb() -> Iterator[str]:
    """The tiny model in 4 bits, served."""
    with serving(TINY_INSTRUCT, "--quantization", "bnb-4bit", "--dtype", "float32") as url:
        yield f"{url}#{TINY_INSTRUCT}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between attempts, of which there are few."""
    monkeypatch.setattr(served_client, "LIMITS", Limits(attempts=3))
    monkeypatch.setattr(served_client, "back_off", lambda *_, **__: 0.0)


def sums(lab: Lab, count: int, **more: Any) -> list[str]:
    """Write a slice of what the tiny model was trained for; gives the prompts."""
    path = TINY_INSTRUCT.parent / "slices" / "math.slice.yaml"
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))["cases"][:count]
    kept = [{key: case[key] for key in ("id", "prompt", "checks")} | {"max_new_tokens": 40} for case in cases]
    extra = [{"id": name, "prompt": cases[0]["prompt"], **case} for name, case in more.items()]
    lab.write("sums", [*kept, *extra], max_pass_to_fail=1, min_cases=1)
    return [case["prompt"] for case in cases]


def gated(lab: Lab, *words: str) -> tuple[pytest.RunResult, RunReport]:
    result = lab.run_pytest(f"--quant-model={TINY_INSTRUCT}", "--quant-report-json=run.json", "-rs", *words)
    return result, RunReport.from_json((lab.pytester.path / "run.json").read_text(encoding="utf-8"))


def texts(report: RunReport, spec: str) -> dict[str, list[str]]:
    return {
        record.case.id: [turn.completion.text for turn in record.outcomes[spec].turns or (record.outcomes[spec],)]
        for record in report.cases
    }


def posted(server: FaultyServer) -> int:
    """Requests of this run, without the one that finds out what the server takes."""
    return sum(body["max_tokens"] > 1 for body in server.bodies)


TURNS = {"turns": [{"prompt": prompt, "checks": ["comply"]} for prompt in ("What is 3 + 4?", "What is 5 + 4?")]}


def test_a_served_model_answers_as_the_same_model_here(lab: Lab, served_tiny: str) -> None:
    sums(lab, 10)
    lab.write("turns", [{"id": "two", **TURNS}])
    result, report = gated(lab, "--quant-ref=fp16", "--quant-cand", served_tiny, "--quant-compute-dtype=float32")
    result.assert_outcomes(passed=13)
    assert texts(report, "fp16") == texts(report, served_tiny)
    (candidate,) = report.candidates
    assert candidate.identity["model"] == str(TINY_INSTRUCT)
    assert candidate.identity["kept"] == "for this run only"
    assert (candidate.summary or "").startswith("served by ")
    assert candidate.kernels is None
    assert "127.0.0.1" not in json.dumps(dict(candidate.identity))
    assert (report.device, report.compute_dtype) == ("cpu", "float32")
    result.stdout.fnmatch_lines([f"quantgate: reference fp16 (float32, *), candidate {served_tiny} (served)"])


def test_two_served_models_are_gated_and_one_quantizes_as_it_is_done_here(
    lab: Lab, served_tiny: str, served_bnb: str
) -> None:
    sums(lab, 30)
    result, report = gated(lab, "--quant-ref", served_tiny, "--quant-cand", served_bnb, "--quant-cand=nf4:double")
    before, after, here = (texts(report, spec) for spec in (served_tiny, served_bnb, "nf4:double"))
    assert before.keys() == after.keys() == here.keys()
    assert 0 < sum(before[name] != after[name] for name in before) < 15
    # not all that changes there: its kernels multiply a single row in bfloat16 on processors that can
    changed = {name: text for name, text in here.items() if text != before[name]}
    assert changed
    assert {name: after[name] for name in changed} == changed
    assert [gate.verdict.value for gate in report.gates] == ["PASS", "PASS"]
    assert (report.model, report.device) == (str(TINY_INSTRUCT), "cpu")
    result.stdout.fnmatch_lines([f"quantgate: model {TINY_INSTRUCT}*"])


def test_answers_are_kept_when_the_user_says_what_is_served(lab: Lab, served_tiny: str, empty_cache: Path) -> None:
    sums(lab, 4)
    url, model = served_tiny.split("#")
    with FaultyServer(lambda _: None, behind=url) as front:
        for stated, asked in (("?as=one", 4), ("?as=one", 4), ("?as=two", 8), ("", 12), ("", 16)):
            words = ("--quant-ref", f"{url}?as=it#{model}", "--quant-cand", f"{front.url}{stated}#{model}")
            result, report = gated(lab, *words)
            result.assert_outcomes(passed=5)
            assert posted(front) == asked
    assert report.candidates[0].generated == 4
    assert empty_cache.is_dir()


@pytest.mark.usefixtures("impatient")
def test_faults_in_passing_change_nothing(lab: Lab, served_tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()
    monkeypatch.setattr(asyncio, "timeout", patience.timeout)
    faults = [DROP, of({"error": "busy"}, 429, **{"Retry-After": "0"}), Reply(status=500), Reply(b"<html>"), STALL]
    faults += [Reply(raw=b"\x00\xff"), Reply(b"x" * 4_000_000), of({"choices": [{"message": {"content": 7}}]})]

    prompts = sums(lab, 10)
    # each once: however two at a time alternate, none meets three faults in a row, a stall of the other included
    struck: set[str] = set()

    def says(asked: Asked) -> Reply | None:
        prompt = asked.body["messages"][0]["content"] if asked.body else None
        if prompt not in prompts or prompt in struck or not faults:
            return None
        struck.add(prompt)
        return faults.pop()

    url, model = served_tiny.split("#")
    with FaultyServer(says, behind=url, stalled=patience.end) as front:
        address = f"{front.url}?concurrency=2#{model}"
        result, report = gated(lab, "--quant-ref=fp16", "--quant-cand", address)
    assert faults == []
    result.assert_outcomes(passed=11)
    assert texts(report, "fp16") == texts(report, address)


@pytest.mark.usefixtures("impatient")
def test_a_case_that_cannot_be_had_is_unscored_and_the_gate_inconclusive(
    lab: Lab, served_tiny: str, empty_cache: Path
) -> None:
    first, *_ = sums(lab, 6)
    well = False

    def says(asked: Asked) -> Reply | None:
        hit = asked.body and asked.body["messages"][0]["content"] == first
        return Reply(status=500) if hit and not well else None

    url, model = served_tiny.split("#")
    with FaultyServer(says, behind=url) as front:
        words = ("--quant-ref=fp16", "--quant-cand", f"{front.url}?as=tiny#{model}")
        result, report = gated(lab, *words)
        result.stdout.fnmatch_lines(["*1 failed, 5 passed, 1 unscored*"])
        result.stdout.fnmatch_lines(["*answers with status 500 (3 attempts)"])
        assert [gate.verdict.value for gate in report.gates] == ["INCONCLUSIVE"]
        asked, well = posted(front), True
        gated(lab, *words)[0].assert_outcomes(passed=7)
        assert posted(front) == asked + 1  # what was answered is not asked again, and what was not is
    assert empty_cache.is_dir()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_dies_in_the_run_loses_no_answer_and_the_run_ends(
    lab: Lab, served_tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_client, "LIMITS", Limits(silence=0.1))
    sums(lab, 20)
    url, model = served_tiny.split("#")
    with FaultyServer(lambda asked: DROP if asked.method == "POST" and asked.number > 5 else None, behind=url) as front:
        result, report = gated(lab, "--quant-ref=fp16", "--quant-cand", f"{front.url}?concurrency=1#{model}")
        assert posted(front) >= 5 + 3
    result.stdout.fnmatch_lines(["*1 failed, 5 passed, 15 unscored*"])
    result.stdout.fnmatch_lines(["*15 of 20 requests have no answer: given up after * seconds without any answer*"])
    assert [gate.verdict.value for gate in report.gates] == ["INCONCLUSIVE"]


def test_what_a_server_cannot_do_is_unscored_with_the_reason(lab: Lab, served_tiny: str) -> None:
    begun = {"answer_prefix": "It is", "checks": ["comply"]}
    asked = {"checks": [{"recall": {"answer": "7"}}], "max_new_tokens": 1}
    sums(lab, 2, begun=begun, asked=asked)
    result, _ = gated(lab, "--quant-ref=fp16", "--quant-cand", served_tiny)
    result.stdout.fnmatch_lines(["*2 passed, 2 unscored*"])
    result.stdout.fnmatch_lines(
        [
            "*begun: the server does not go on with an answer that was begun*",
            "*asked: recall: nothing was measured of '7': that takes a model that is run here",
        ]
    )


def test_a_server_that_is_not_there_is_told_and_the_run_ends(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_quantgate.variants.server_facts.back_off", lambda *_, **__: 0.0)
    sums(lab, 2)
    result, report = gated(lab, "--quant-ref=fp16", "--quant-cand=http://127.0.0.1:1/v1#m")
    result.stdout.fnmatch_lines(["quantgate: error: variant 'http://127.0.0.1:1/v1#m': the server cannot be reached*"])
    assert [gate.verdict.value for gate in report.gates] == ["INCONCLUSIVE"]


def answering(found: dict[str, str]) -> Says:
    """A server that says of each prompt what it is told."""

    def says(asked: Asked) -> Reply | None:
        return None if asked.method == "GET" else chat(found.get(asked.body["messages"][-1]["content"], "?"))

    return says


def test_served_models_are_gated_in_every_way_of_running(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write("words", lab.many(6, degraded=2), max_pass_to_fail=1, min_robustness=0)
    with FaultyServer(answering(lab.tiny.texts["fp16"])) as one, FaultyServer(answering(lab.tiny.texts["nf4"])) as two:
        host = one.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv(KEY_VARIABLE, f"{host}={KEY}")
        words = ("--quant-ref", f"{one.url}#a/m", "--quant-cand", f"{two.url}#a/m-awq", "--quant-noise-floor")
        result, report = gated(lab, *words, "--quant-report-html=run.html")
        assert {each.key for each in one.asked} == {f"Bearer {KEY}"}
        assert {each.key for each in two.asked} == {None}
        assert posted(one) == 12
    assert result.ret == 0
    assert [gate.statistics.counts.pf for gate in report.gates] == [2]
    assert (report.model, report.device) == ("a/m", "-")
    assert report.floor_variant is not None
    assert report.floor_variant.identity["schedule"] == "at most 3 rows, shortest first"
    written = [each.read_text(encoding="utf-8") for each in lab.pytester.path.glob("run.*")]
    assert len(written) == 2
    assert not any(KEY in each for each in (*written, result.stdout.str()))


def test_a_key_that_a_server_repeats_is_in_no_file_and_no_log(
    lab: Lab, empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cases = lab.many(3)
    lab.write("words", cases)

    def says(asked: Asked) -> Reply:
        echo = {"X-Echo": str(asked.key)}
        if asked.method == "GET":
            facts = {"data": [{"id": "m", "root": asked.key, "owned_by": asked.key}], "version": asked.key}
            return of(facts, 200, **echo)
        if asked.body["messages"][-1]["content"] == cases[0]["prompt"]:
            return of({"error": {"message": f"who is {asked.key}?"}}, 400, **echo)
        return replace(chat(f"you are {asked.key}"), headers=echo)

    reports = ("--quant-report-html=run.html", "--quant-report-markdown=run.md", "--junitxml=run.xml")
    caplog.set_level(logging.DEBUG)
    with FaultyServer(says) as server, CompletionCache(default_cache_path()):  # open, so that its log stays beside it
        host = server.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv(KEY_VARIABLE, f"{host}={KEY}")
        words = ("--quant-ref", f"{server.url}?as=one#m", "--quant-cand", f"{server.url}?as=two#m")
        result, _ = gated(lab, *words, *reports, "--log-level=DEBUG")
        kept = contents(empty_cache)
    assert {each.key for each in server.asked} == {f"Bearer {KEY}"}
    written = contents(lab.pytester.path)
    assert {"run.json", "run.html", "run.md", "run.xml"} <= written.keys()
    for text in (kept[f"{default_cache_path().name}-wal"], written["run.json"], written["run.html"]):
        assert b"you are Bearer [key]" in text
    assert b"who is Bearer [key]?" in written["run.json"]
    assert "b'Bearer [key]'" in caplog.text
    told = [*kept.values(), *written.values(), caplog.text.encode(), result.stdout.str().encode()]
    assert not any(KEY.encode() in each for each in (*told, result.stderr.str().encode()))


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, by its name."""
    return {each.name: each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_server_that_is_redeployed_in_the_run_gives_no_verdict_and_nothing_of_it_is_kept(
    lab: Lab,
    empty_cache: Path,
) -> None:
    cases = lab.many(4)
    lab.write("words", cases)
    facts, planned = {"version": "1.0"}, ["1.1"]

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            return of(facts) if asked.path == "/version" else None
        if planned and asked.body["messages"][-1]["content"] == cases[1]["prompt"]:
            facts["version"] = planned.pop()
        return chat(lab.tiny.texts["fp16"].get(asked.body["messages"][-1]["content"], "?"))

    with FaultyServer(says) as server, FaultyServer(answering(lab.tiny.texts["fp16"])) as other:
        words = ("--quant-ref", f"{other.url}?as=one#m", "--quant-cand", f"{server.url}?as=two#m")
        result, report = gated(lab, *words)
        result.stdout.fnmatch_lines(["quantgate: error: variant *changed since the run began: version*"])
        result.stdout.fnmatch_lines(["*1 failed, 4 unscored*"])
        assert [gate.verdict.value for gate in report.gates] == ["INCONCLUSIVE"]
        for version, asked in (("1.1", 8), ("1.0", 12), ("1.0", 12)):
            facts["version"] = version
            gated(lab, *words)[0].assert_outcomes(passed=5)
            assert posted(server) == asked
    assert posted(other) == 4
    assert empty_cache.is_dir()


def test_servers_that_take_turns_are_asked_nothing_and_give_no_verdict(lab: Lab) -> None:
    lab.write("words", lab.many(4))

    def says(asked: Asked) -> Reply | None:
        return of({"version": f"1.{asked.number % 2}"}) if asked.path == "/version" else None

    with FaultyServer(says) as server, FaultyServer(answering(lab.tiny.texts["fp16"])) as other:
        result, report = gated(lab, "--quant-ref", f"{other.url}#m", "--quant-cand", f"{server.url}?as=two#m")
        assert server.bodies == []
    told = "several servers that are not alike take turns at this address: version (1.1, then 1.0)"
    result.stdout.fnmatch_lines([f"quantgate: error: variant *{told}", "*name one of them*"])
    result.stdout.fnmatch_lines(["*1 failed, 4 unscored*"])
    assert [gate.verdict.value for gate in report.gates] == ["INCONCLUSIVE"]


def test_a_dry_run_says_what_is_served(lab: Lab) -> None:
    lab.write("words", lab.many(3))
    with FaultyServer(answering({})) as server:
        words = ("--quant-ref", f"{server.url}?as=x#m", "--quant-cand", f"{server.url}#n")
        result = lab.run_pytest(*words, "--quant-dry-run")
        assert server.bodies == []
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"quantgate: {server.url}[?]as=x#m: served by *, chat completions, 16 at a time; answers are kept for *",
            f"quantgate: {server.url}#n: served by *answers are not kept for later runs*write *[?]as=TEXT#n*",
        ]
    )


@pytest.mark.usefixtures("at_home")
def test_goldens_of_a_served_model(lab: Lab) -> None:
    lab.write("words", lab.many(4))
    with FaultyServer(answering(lab.tiny.texts["fp16"])) as server:
        spec = f"{server.url}#m"
        lab.run_pytest("--quant-ref", spec, "--quant-cand", spec, "--quant-reanchor=new").assert_outcomes(passed=5)
        (golden,) = lab.pytester.path.glob("golden/words/*.jsonl")
        (anchor,) = json.loads(golden.read_text(encoding="utf-8").splitlines()[0])["anchors"].values()
        assert anchor["model"] == "m"
        result = lab.run_pytest("--quant-ref", f"golden:{spec}", "--quant-cand", spec)
    result.assert_outcomes(passed=6)
