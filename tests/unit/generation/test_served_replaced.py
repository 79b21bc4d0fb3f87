"""A server that is replaced while it answers: what it serves is asked again, and only confirmed answers are kept."""

from __future__ import annotations

import itertools
import math
import threading
from pathlib import Path

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.generation import served as engine
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.kept import RunCache
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants import server_facts
from pytest_quantgate.variants.served import prepare_served
from pytest_quantgate.variants.server_facts import TIMES
from tests.faulty import DROP, Asked, FaultyServer, Reply, Says, chat, of
from tests.unit.generation.served_run import requests


def redeploying(facts: dict[str, object], at: str, then: dict[str, object]) -> Says:
    """A server whose facts are others once it is asked a question."""

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            return of(facts) if asked.path == "/server_info" else None
        if asked.body["messages"][-1]["content"] == at:
            facts.update(then)
        return chat()

    return says


COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
FACTS: dict[str, object] = {
    "version": "1.0",
    "dtype": "auto",
    "quantization": None,
    "revision": COMMIT,
}


@pytest.mark.parametrize(
    ("stated", "then", "told"),
    [
        (
            "?as=mine",
            {"version": "1.1", "quantization": "awq"},
            r"quantization \(none, then awq\), version \(1.0, then 1.1\)",
        ),
        ("", {"revision": "main"}, rf"revision \({COMMIT}, then nothing\)"),
    ],
)
def test_answers_of_a_server_that_was_redeployed_meanwhile_are_not_kept(
    stated: str, then: dict[str, object], told: str, tmp_path: Path
) -> None:
    asked = requests(6)
    digests = [each.digest for each in asked]
    with (
        FaultyServer(redeploying({**FACTS}, "What is 4?", then)) as server,
        CompletionCache(tmp_path / "cache") as cache,
    ):
        served = prepare_served(f"{server.url}{stated}#big")
        assert served.kept
        answer(served, asked[:2], cache, SilentProgress())
        with pytest.raises(ModelError, match=rf"{told}\n.*not kept") as caught:
            answer(served, asked, cache, SilentProgress())
        assert cache.get(served.identity.digest, digests).keys() == set(digests[:2])
    assert f"{str(served.spec)!r}: what the server tells of itself changed since the run began" in str(caught.value)


def kept_one_by_one(says: Says, progress: SilentProgress, path: Path) -> tuple[list[bool], int, str]:
    """Which of six answers are kept of a server that is asked one by one, how many it was asked, and why no more."""
    asked, why = requests(6), ""
    with FaultyServer(says) as server, CompletionCache(path) as cache:
        served = prepare_served(f"{server.url}?as=mine&concurrency=1#big")
        try:
            answer(served, asked, cache, progress)
        except (ModelError, EndedError) as error:
            why = str(error)
        kept = cache.get(served.identity.digest, [each.digest for each in asked])
        questions = len(server.bodies) - 1  # without the one that finds out what it takes
    return [each.digest in kept for each in asked], questions, why


class EndedError(Exception):
    pass


class Ended(SilentProgress):
    """The run ends behind the third answer."""

    def __init__(self) -> None:
        self._left = 3

    def advance(self, cases: int, tokens: int) -> None:
        del tokens
        self._left -= cases
        if not self._left:
            raise EndedError("killed")


@pytest.mark.parametrize(
    ("seconds", "facts", "kept"),
    [(math.inf, FACTS, 0), (0.0, FACTS, 2), (math.inf, {}, 2)],
    ids=["soon", "later", "no facts"],
)
def test_of_a_run_that_is_ended_is_kept_what_the_server_was_asked_about_again(
    seconds: float, facts: dict[str, object], kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", seconds)
    found = kept_one_by_one(redeploying({**facts}, "", {}), Ended(), tmp_path / "cache")
    assert found == ([True] * kept + [False] * (6 - kept), 3, "killed")


def test_a_server_that_was_redeployed_is_asked_no_more_and_what_it_confirmed_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", 0.0)
    says = redeploying({**FACTS}, "What is 3?", {"version": "1.1"})
    found, questions, why = kept_one_by_one(says, SilentProgress(), tmp_path / "cache")
    assert (found, questions) == ([True, True, True, False, False, False], 4)
    assert "changed since the run began: version" in why


def test_a_server_that_cannot_be_asked_again_confirms_nothing_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", 0.0)
    monkeypatch.setattr(server_facts, "back_off", lambda *_, **__: 0.0)
    deployed = redeploying({**FACTS}, "What is 3?", {"version": "1.1"})
    last = ""

    def says(asked: Asked) -> Reply | None:
        nonlocal last
        if asked.method == "POST":
            last = asked.body["messages"][-1]["content"]
        busy = asked.method == "GET" and last in {"What is 1?", "What is 2?"}
        return Reply(status=503) if busy else deployed(asked)

    found, questions, why = kept_one_by_one(says, SilentProgress(), tmp_path / "cache")
    assert (found, questions) == ([True, False, False, False, False, False], 4)
    assert "changed since the run began: version" in why


@pytest.mark.parametrize("late", range(TIMES))
def test_a_server_that_changes_while_it_is_asked_again_takes_no_earlier_answer_along(
    late: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", 0.0)
    begun: list[str] = []
    looks = itertools.count()

    def says(asked: Asked) -> Reply | None:
        if asked.method == "POST":
            begun.extend(["yes"] * (asked.body["messages"][-1]["content"] == "What is 3?"))
            return chat()
        if asked.path != "/server_info":
            return None
        return of({**FACTS, "version": "1.1"} if begun and next(looks) >= late else FACTS)

    asked = requests(6)
    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?concurrency=1#big")
        answer(served, asked[:2], cache, SilentProgress())
        with pytest.raises(ModelError, match=r"changed since the run began: version \(1\.0, then 1\.1\)"):
            answer(served, asked, cache, SilentProgress())
        kept = cache.get(served.identity.digest, [each.digest for each in asked])
    assert kept.keys() >= {each.digest for each in asked[:2]}


@pytest.mark.parametrize("times", [1, TIMES], ids=["by request", "by look"])
@pytest.mark.parametrize("query", ["concurrency=1", "concurrency=1&as=mine"])
def test_of_servers_that_begin_to_take_turns_nothing_is_kept(
    times: int, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", 0.0)
    begun, looks = [], itertools.count()

    def says(asked: Asked) -> Reply | None:
        if asked.method == "POST":
            begun.extend(["yes"] * (asked.body["messages"][-1]["content"] == "What is 3?"))
            return chat()
        if asked.path != "/server_info":
            return None
        other = bool(begun) and next(looks) // times % 2 == 0
        return of({**FACTS, "version": "1.1"} if other else FACTS)

    asked = requests(6)
    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?{query}#big")
        assert served.kept
        answer(served, asked[:2], cache, SilentProgress())
        with pytest.raises(ModelError, match=r"several servers .* take turns .*version \(.*\n.*nothing .* is kept"):
            answer(served, asked, cache, SilentProgress())
        assert cache.get(served.identity.digest, [each.digest for each in asked]) == {}
        assert len(server.bodies) == 2 + 2 + 2  # twice what finds out what it takes, and two answers each time


def test_nor_are_they_kept_for_the_rest_of_the_run() -> None:
    cache, asked = RunCache(), requests(2)
    with FaultyServer(redeploying({"version": "1.0"}, "What is 1?", {"version": "1.1"})) as server:
        served = prepare_served(f"{server.url}#big")
        with pytest.raises(ModelError, match="version"):
            answer(served, asked, cache, SilentProgress())
    assert cache.get(served.identity.digest, [each.digest for each in asked]) == {}


@pytest.mark.parametrize(
    "then",
    [
        DROP,
        Reply(b"<html>", 502),
        Reply(status=500),
        Reply(status=401),
        Reply(status=404),
        of({**FACTS, "model_path": "m"}),
    ],
    ids=["dropped", "gateway", "failed", "barred", "not found", "tells more"],
)
def test_a_server_that_tells_no_other_facts_is_believed(
    then: Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_facts, "back_off", lambda *_, **__: 0.0)
    answered = threading.Event()

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            place = asked.path == "/server_info"
            if answered.is_set():
                return then if place or then.status != 200 else None
            return of(FACTS) if place else None
        answered.set()
        return chat()

    asked = requests(3)
    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?as=mine#big")
        told = sum(each.method == "GET" for each in server.asked)
        answer(served, asked, cache, SilentProgress())
        assert sum(each.method == "GET" for each in server.asked) > told
        assert len(cache.get(served.identity.digest, [each.digest for each in asked])) == 3


def test_facts_are_asked_again_only_where_something_was_answered(tmp_path: Path) -> None:
    with FaultyServer(redeploying({**FACTS}, "", {})) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?as=mine#big")
        answer(served, requests(3), cache, SilentProgress())
        told = len(server.asked)
        answer(served, requests(3), cache, SilentProgress())
        assert len(server.asked) == told
