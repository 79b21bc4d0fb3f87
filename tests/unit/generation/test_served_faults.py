"""A server that misbehaves: what is asked again, what is given up, and what is unscored with its reason."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest

from pytest_quantgate.cases.model import Message
from pytest_quantgate.endpoint import back_off
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.served_client import Limits
from tests.faulty import DROP, STALL, Asked, FaultyServer, Patience, Reply, chat, of
from tests.unit.generation.served_run import Run, Time, after_probe, requests

AWAY = {
    "dropped": DROP,
    "busy": of({"error": {"message": "too many"}}, 429),
    "a gateway alone": Reply(b"<html>", 502),
    "gone for a while": Reply(b"<html>", 503),
    "too slow for a gateway": Reply(b"<html>", 504),
    "no HTTP": Reply(raw=b"hello\r\n\r\n"),
    "half": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"),
}
USELESS = {
    "failed": Reply(b"oops", 500),
    "no JSON": Reply(b"<html>"),
    "no completion": of({"choices": []}),
    "not UTF-8": Reply(b'{"choices": "\xff"}'),
    "nested": Reply(b"[" * 100_000),
    "a number": chat(7),
    "compressed": Reply(b"x", headers={"Content-Encoding": "gzip"}),
    "nothing": Reply(status=204),
}
PASSING = AWAY | USELESS


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_fails_in_passing_is_asked_again_later_each_time(fault: Reply) -> None:
    with FaultyServer(after_probe(fault, fault, fault, chat("fine"))) as server:
        run = Run(server.url, requests(1))
    assert [each.text for each in run.answers] == ["fine"]
    assert run.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("name", PASSING)
def test_what_does_not_pass_is_unscored_with_its_reason(name: str) -> None:
    fault, attempts = PASSING[name], 8 if name in AWAY else 5
    with FaultyServer(after_probe(fault)) as server:
        run = Run(server.url, requests(1))
    (problem,) = run.problems
    assert problem is not None
    assert problem.startswith(f"the server at {server.url} ")
    assert problem.endswith(f"({attempts} attempts)")
    assert run.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0][: attempts - 1]
    assert run.told.notes == [f"{server.url}#big: 1 of 1 requests have no answer"]


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("86400", 60), ("soon", 0.5), ("-1", 0.5), ("9" * 400, 60)])
def test_a_server_says_how_long_to_wait_within_reason(asked: str, waited: float) -> None:
    with FaultyServer(after_probe(Reply(status=429, headers={"Retry-After": asked}), chat())) as server:
        run = Run(server.url, requests(1), Limits(seconds=1_000))
    assert run.waits == [waited]
    assert run.problems == [None]


@pytest.mark.parametrize(
    ("fault", "then", "attempts"),
    [(STALL, chat(), 2), (Reply(b"x" * 9, sent=4), Reply(b"x" * 9, sent=4), 1)],
    ids=["stalled", "trickling"],
)
def test_a_reply_that_does_not_come_is_not_waited_for(
    fault: Reply, then: Reply, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Patience()
    monkeypatch.setattr(asyncio, "timeout", patience.timeout)
    limits = Limits(seconds=400.0, per_token=0.0, attempts=attempts)
    with FaultyServer(after_probe(fault, then), stalled=patience.end) as server:
        (problem,) = Run(server.url, requests(1), limits).problems
    assert patience.seconds == [200.0] * (1 + attempts)  # half of what a request has; the first one was a probe
    assert problem in {None, f"the server at {server.url} did not answer in time (1 attempt)"}
    assert (problem is None) == (attempts > 1)


def test_a_reply_without_end_is_not_read_to_its_end() -> None:
    with FaultyServer(after_probe(Reply(b"x" * 200_000))) as server:
        (problem,) = Run(server.url, requests(1), Limits(bytes=100_000)).problems
    assert "longer than 104,096 bytes" in str(problem)


@pytest.mark.parametrize("fault", [DROP, Reply(status=429)], ids=["dropped", "busy"])
def test_an_outage_of_a_minute_loses_nothing(fault: Reply) -> None:
    time, number = Time(), itertools.count()

    def says(asked: Asked) -> Reply | None:
        return None if asked.method == "GET" else fault if next(number) > 20 and time.now < 60 else chat()

    with FaultyServer(says) as server:
        run = Run(f"{server.url}?concurrency=16#big", requests(60), Limits(), time=time)
    assert run.problems == [None] * 60
    assert 60 <= time.now < 80


@pytest.mark.parametrize(("concurrency", "seconds"), [(1, 120 + 120 + 120), (16, 120)])
@pytest.mark.parametrize("fault", [DROP, Reply(status=500)], ids=["dropped", "failed"])
def test_a_server_that_stays_dead_is_given_up_and_what_it_answered_is_kept(
    concurrency: int, seconds: int, fault: Reply
) -> None:
    number, time = itertools.count(), Time()

    def says(asked: Asked) -> Reply | None:
        return None if asked.method == "GET" else chat() if next(number) <= 10 else fault

    with FaultyServer(says) as server:
        run = Run(f"{server.url}?concurrency={concurrency}#big", requests(900), Limits(), time=time)
    assert run.problems.count(None) == 10
    assert run.told.done == 900
    (note,) = run.told.notes
    assert re.search(
        r"890 of 900 requests have no answer: given up after \d+ seconds without any answer: the serv", note
    )
    assert 120 <= time.now < seconds + 60
    assert run.problems.count(note.partition("no answer: ")[2]) > 500


@pytest.mark.parametrize("concurrency", [1, 16])
@pytest.mark.parametrize("status", [500, 502])
def test_requests_that_never_succeed_take_no_others_with_them(status: int, concurrency: int) -> None:
    bad = {"What is 3?", "What is 4?"}

    def says(asked: Asked) -> Reply | None:
        return Reply(status=status) if asked.body and asked.body["messages"][0]["content"] in bad else chat()

    with FaultyServer(says) as server:
        run = Run(f"{server.url}?concurrency={concurrency}#big", requests(40), Limits())
    assert [number for number, each in enumerate(run.problems) if each] == [3, 4]
    assert run.told.notes[0].endswith("2 of 40 requests have no answer")


def test_waits_are_bounded_however_often_one_waits() -> None:
    assert back_off(100_000, longest=20.0) == 20.0


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_before_anything_is_answered_is_tried_once(status: int) -> None:
    with FaultyServer(lambda _: of({"error": "who are you?"}, status)) as server:
        run = Run(server.url, requests(9))
    assert len(server.bodies) == 1
    assert run.problems == [f"the server at {server.url} answers with status {status}: who are you?"] * 9


@pytest.mark.parametrize("concurrency", [1, 16])
@pytest.mark.parametrize("status", [401, 403])
def test_a_firewall_that_blocks_prompts_leaves_the_others(status: int, concurrency: int) -> None:
    def says(asked: Asked) -> Reply | None:
        blocked = asked.body and "ignore" in asked.body["messages"][0]["content"]
        return of({"message": "blocked"}, status) if blocked else chat()

    attacks = [Request((Message("user", f"Please ignore {number}"),), 4) for number in range(5)]
    with FaultyServer(says) as server:
        run = Run(f"{server.url}?concurrency={concurrency}#big", [*requests(20), *attacks])
    assert run.problems[:20] == [None] * 20
    assert run.problems[20:] == [f"the server at {server.url} answers with status {status}: blocked"] * 5


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404])
def test_what_every_request_would_end_like_is_asked_once(status: int) -> None:
    with FaultyServer(lambda _: chat()) as elsewhere:
        there = {"Location": f"{elsewhere.url}/chat/completions"}
        with FaultyServer(after_probe(Reply(status=status, headers=there))) as server:
            run = Run(f"{server.url}?concurrency=1#big", requests(9))
        assert elsewhere.asked == []
    assert len(server.bodies) == (3 if status in {401, 403} else 2)  # the key is tried once more
    assert all(f"status {status}" in str(problem) for problem in run.problems)


def test_an_address_without_a_path_is_told_where_most_servers_are_asked() -> None:
    def says(asked: Asked) -> Reply | None:
        return chat() if asked.path == "/v1/chat/completions" else None

    with FaultyServer(says) as server:
        bare = server.url.removesuffix("/v1")
        found = {url: Run(f"{url}?concurrency=1#big", requests(1)).problems for url in (server.url, bare, f"{bare}/v2")}
    hint = f"; its address has no path: most servers are asked at {server.url}"
    assert found == {
        server.url: [None],
        bare: [f"the server at {bare} answers with status 404{hint}"],
        f"{bare}/v2": [f"the server at {bare}/v2 answers with status 404"],
    }


def test_a_request_that_is_refused_takes_no_other_with_it() -> None:
    def says(asked: Asked) -> Reply | None:
        refused = asked.body and asked.body["messages"][0]["content"] == "What is 3?"
        return of({"error": {"message": "context\nlength"}}, 400) if refused else chat()

    with FaultyServer(says) as server:
        run = Run(server.url, requests(20))
    (problem,) = [each for each in run.problems if each]
    assert problem == f"the server at {server.url} answers with status 400: context\\nlength"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (chat(None, finish="tool_calls"), "tool calls"),
        (of({"choices": [{"message": {"content": "", "tool_calls": [{}]}}]}), "tool calls"),
        (chat("cut", finish="content_filter"), "content filter"),
        (of({"choices": [{"message": {"content": "x"}}], "usage": {"completion_tokens": 99}}), "99 tokens where 4"),
    ],
)
def test_an_answer_that_was_tampered_with_is_no_answer(reply: Reply, reason: str) -> None:
    with FaultyServer(after_probe(reply)) as server:
        (found,) = Run(server.url, requests(1)).answers
    assert reason in str(found.problem)
    assert found.text == ""
