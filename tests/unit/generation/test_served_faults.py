"""A server that misbehaves: what is asked again, what is given up, and what is unscored with its reason."""

from __future__ import annotations

import itertools

import pytest

from pytest_quantgate.generation.served_client import Limits
from tests.faulty import DROP, STALL, Asked, FaultyServer, Reply, chat, of
from tests.unit.generation.served_run import Run, after_probe, requests

PASSING = {
    "dropped": DROP,
    "busy": of({"error": {"message": "too many"}}, 429),
    "failed": Reply(b"oops", 500),
    "gone for a while": Reply(b"<html>", 503),
    "no JSON": Reply(b"<html>"),
    "no completion": of({"choices": []}),
    "not UTF-8": Reply(b'{"choices": "\xff"}'),
    "nested": Reply(b"[" * 100_000),
    "a number": chat(7),
    "no HTTP": Reply(raw=b"hello\r\n\r\n"),
    "half": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"),
    "compressed": Reply(b"x", headers={"Content-Encoding": "gzip"}),
    "nothing": Reply(status=204),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_fails_in_passing_is_asked_again_later_each_time(fault: Reply) -> None:
    with FaultyServer(after_probe(fault, fault, fault, chat("fine"))) as server:
        run = Run(server.url, requests(1))
    assert [each.text for each in run.answers] == ["fine"]
    assert run.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_unscored_with_its_reason(fault: Reply) -> None:
    with FaultyServer(after_probe(fault)) as server:
        run = Run(server.url, requests(1))
    (problem,) = run.problems
    assert problem is not None
    assert problem.startswith(f"the server at {server.url} ")
    assert problem.endswith("(5 attempts)")
    assert run.told.notes == [f"{server.url}#big: 1 of 1 requests have no answer"]


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("86400", 60), ("soon", 0.5), ("-1", 0.5), ("9" * 400, 60)])
def test_a_server_says_how_long_to_wait_within_reason(asked: str, waited: float) -> None:
    with FaultyServer(after_probe(Reply(status=429, headers={"Retry-After": asked}), chat())) as server:
        run = Run(server.url, requests(1), Limits(seconds=1_000))
    assert run.waits == [pytest.approx(waited, abs=0.5)]
    assert run.problems == [None]


@pytest.mark.parametrize(
    ("fault", "then", "attempts"),
    [(STALL, chat(), 2), (Reply(b"x" * 9, sent=4), Reply(b"x" * 9, sent=4), 1)],
    ids=["stalled", "trickling"],
)
def test_a_reply_that_does_not_come_is_not_waited_for(fault: Reply, then: Reply, attempts: int) -> None:
    limits = Limits(seconds=4.0, per_token=0.0, attempts=attempts)
    with FaultyServer(after_probe(fault, then)) as server:
        (problem,) = Run(server.url, requests(1), limits).problems
    assert problem in {None, f"the server at {server.url} did not answer in time (1 attempt)"}
    assert (problem is None) == (attempts > 1)


def test_a_reply_without_end_is_not_read_to_its_end() -> None:
    with FaultyServer(after_probe(Reply(b"x" * 200_000))) as server:
        (problem,) = Run(server.url, requests(1), Limits(bytes=100_000)).problems
    assert "longer than 104,096 bytes" in str(problem)


def test_a_server_that_stays_dead_is_given_up_and_what_it_answered_is_kept() -> None:
    number = itertools.count()

    def says(asked: Asked) -> Reply | None:
        return None if asked.method == "GET" else chat() if next(number) <= 10 else DROP

    with FaultyServer(says) as server:
        address = f"{server.url}?concurrency=1"
        run = Run(f"{address}#big", requests(500), Limits(dead_after=3, attempts=2))
    assert run.problems[:10].count(None) + run.problems[10:].count(None) == 10
    assert len(server.bodies) == 1 + 10 + 3 * 2
    assert run.told.done == 500
    (note,) = run.told.notes
    assert "490 of 500 requests have no answer: given up after 3 requests in a row" in note
    assert run.problems.count(note.partition("no answer: ")[2]) == 487


def test_single_faults_do_not_add_up() -> None:
    with FaultyServer(after_probe(*[Reply(status=500), chat()] * 40)) as server:
        run = Run(f"{server.url}?concurrency=1#big", requests(40), Limits(dead_after=2, attempts=1))
    assert run.problems.count(None) == 20
    assert "given up" not in run.told.notes[0]


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404])
def test_what_every_request_would_end_like_is_asked_once(status: int) -> None:
    with FaultyServer(lambda _: chat()) as elsewhere:
        there = {"Location": f"{elsewhere.url}/chat/completions"}
        with FaultyServer(after_probe(Reply(status=status, headers=there))) as server:
            run = Run(f"{server.url}?concurrency=1#big", requests(9))
        assert elsewhere.asked == []
    assert len(server.bodies) == 2
    assert all(f"status {status}" in str(problem) for problem in run.problems)


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
