"""Asking a judge: busy servers are asked again, hopeless ones are not, and the key is in no message."""

from __future__ import annotations

import itertools
import logging
from types import SimpleNamespace

import pytest

from pytest_quantgate.checks.judge import endpoint
from pytest_quantgate.checks.judge.endpoint import ATTEMPTS, KEY_VARIABLE, MOST_BYTES, Judge, JudgeEndpoint, JudgeError
from pytest_quantgate.errors import UsageError
from tests.unit.checks.judge.conftest import Server, completion

KEY = "sk-very-secret"


@pytest.mark.parametrize(
    ("text", "url", "model"),
    [
        ("http://localhost:8000/v1#tiny", "http://localhost:8000/v1", "tiny"),
        (" https://judge.example/v1/#org/model ", "https://judge.example/v1", "org/model"),
        ("http://[::1]:80#m", "http://[::1]:80", "m"),
    ],
)
def test_an_endpoint_is_a_url_and_a_model(text: str, url: str, model: str) -> None:
    assert JudgeEndpoint.parse(text) == JudgeEndpoint(url, model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "localhost:8000/v1#m",
            "begins with neither http:// nor https://\n  did you mean 'http://localhost:8000/v1#m'",
        ),
        ("judge.example", "begins with neither http:// nor https://\n  did you mean 'http://judge.example'"),
        ("[::1]:80/v1#m", "begins with neither http:// nor https://\n  did you mean 'http://[::1]:80/v1#m'"),
        ("http:/host/v1#m", "begins with neither http:// nor https://\n  did you mean 'http://host/v1#m'"),
        ("https//host/v1#m", "begins with neither http:// nor https://\n  did you mean 'https://host/v1#m'"),
        ("ftp://host/v1#m", "begins with neither http:// nor https://\n  write http://HOST:PORT/v1#MODEL"),
        ("http:///v1#m", "names no host\n  write http://HOST:PORT/v1#MODEL"),
        ("http://host/v1", "does not name the model behind a #\n  write http://HOST:PORT/v1#MODEL; "),
        ("http://host/v1", "most servers list their models at http://host/v1/models"),
        ("http://host", "most servers list their models at http://host/v1/models"),
        ("http://host/api/chat/completions", "most servers list their models at http://host/api/models"),
        ("http://host:port/v1#m", "is not a URL"),
        (f"http://me:{KEY}@host/v1#m", "holds no user name or password"),
        (f"http://host/v1?key={KEY}#m", "a judge's has nothing behind a question mark"),
        (f"http:/me:{KEY}@host/v1#m", "holds no user name or password"),
        (f"me:{KEY}@host:80/v1#m", "holds no user name or password"),
        (f"host:80/v1?key={KEY}#m", "did you mean 'http://host:80/v1?...#m'"),
        (f"http://host/v1?key={KEY}", "does not name the model"),
        ("", "not the URL of an endpoint"),
    ],
)
def test_what_is_no_endpoint_is_told(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        JudgeEndpoint.parse(text)
    assert message in str(caught.value)
    assert KEY not in str(caught.value)


def test_the_reply_is_the_text_of_the_first_choice(server: Server) -> None:
    server.says("fine")
    assert Judge(server.endpoint).ask("be fair", "is it good?") == "fine"
    (body,) = server.asked
    assert body["model"] == "big"
    assert body["temperature"] == 0
    assert [message["content"] for message in body["messages"]] == ["be fair", "is it good?"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_later_each_time(server: Server, status: int) -> None:
    server.replies = [(status, b"")] * 3 + [completion("fine")]
    waits: list[float] = []
    assert Judge(server.endpoint, waits.append).ask("", "") == "fine"
    assert len(waits) == 3
    assert waits == sorted(set(waits))


def test_a_server_says_how_long_to_wait_within_reason(server: Server) -> None:
    server.replies = [(429, b""), completion("fine")]
    for wanted, waited in (("7", 7.0), ("86400", 20.0), ("soon", 0.5)):
        server.headers = {"Retry-After": wanted}
        server.replies = [(429, b""), completion("fine")]
        waits: list[float] = []
        Judge(server.endpoint, waits.append).ask("", "")
        assert waits == [waited]


def test_a_server_that_stays_busy_is_left_after_some_attempts_and_tried_for_the_next_case(server: Server) -> None:
    server.replies = [(503, b"")]
    judge = Judge(server.endpoint, lambda _: None)
    for times in (1, 2):
        with pytest.raises(JudgeError, match="answers with status 503"):
            judge.ask("", "")
        assert len(server.asked) == times * ATTEMPTS


@pytest.mark.parametrize(
    ("status", "questions"), [(401, ["good?", "Hello"]), (403, ["good?", "Hello"]), (404, ["good?"])]
)
def test_a_refused_key_or_model_is_not_tried_again(server: Server, status: int, questions: list[str]) -> None:
    server.replies = [(status, b"")]
    judge = Judge(server.endpoint, lambda _: None)
    for _ in range(2):
        with pytest.raises(JudgeError, match=f"status {status}"):
            judge.ask("be fair", "good?")
    assert [body["messages"][-1]["content"] for body in server.asked] == questions


def test_an_address_without_a_path_is_told_where_most_servers_are_asked(server: Server) -> None:
    server.replies = [(404, b"")]
    url = server.endpoint.url.removesuffix("/v1")
    with pytest.raises(JudgeError, match=f"status 404; its address has no path: most servers are asked at {url}/v1$"):
        Judge(JudgeEndpoint(url, "big"), lambda _: None).ask("", "")
    with pytest.raises(JudgeError, match=r"status 404$"):
        Judge(server.endpoint, lambda _: None).ask("", "")


@pytest.mark.parametrize("hello", [completion("Hi"), (400, b""), (503, b"")])
def test_a_firewall_that_refuses_one_question_costs_that_one(server: Server, hello: tuple[int, bytes]) -> None:
    server.replies = [(403, b""), *[hello] * (ATTEMPTS if hello[0] == 503 else 1), completion("fine")]
    judge = Judge(server.endpoint, lambda _: None)
    with pytest.raises(JudgeError, match="status 403"):
        judge.ask("be fair", "is this attack good?")
    assert judge.ask("be fair", "and this?") == "fine"


def test_a_server_that_is_not_there_is_tried_for_one_case_only() -> None:
    waits: list[float] = []
    judge = Judge(JudgeEndpoint("http://127.0.0.1:1/v1", "m"), waits.append)
    for _ in range(2):
        with pytest.raises(JudgeError, match="cannot be reached: ConnectError"):
            judge.ask("", "")
    assert len(waits) == ATTEMPTS - 1


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": 1}}]}', b"[" * 100_000, b"\xff"],
)
def test_a_reply_that_is_no_completion_is_told(server: Server, content: bytes) -> None:
    server.replies = [(200, content)]
    with pytest.raises(JudgeError, match="no chat completion"):
        Judge(server.endpoint).ask("", "")


def test_a_reply_without_end_is_not_read_to_its_end(server: Server) -> None:
    server.replies = [(200, b"x" * (2 * MOST_BYTES)), completion("fine")]
    judge = Judge(server.endpoint)
    with pytest.raises(JudgeError, match="longer than"):
        judge.ask("", "")
    assert judge.ask("", "") == "fine"


def test_a_reply_that_trickles_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.says("fine")
    clock = itertools.count(step=1_000)
    monkeypatch.setattr(endpoint, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(JudgeError, match="cannot be reached: TimeoutError"):
        Judge(server.endpoint, lambda _: None).ask("", "")


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    server.replies = [(401, KEY.encode())]
    judge = Judge(server.endpoint)
    with pytest.raises(JudgeError) as caught:
        judge.ask("", "")
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert KEY not in str(caught.value)
    assert KEY not in repr(judge.endpoint)


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    server.says("fine")
    Judge(server.endpoint).ask("", "")
    assert server.keys == [None]


def test_a_key_that_a_judge_repeats_is_in_no_verdict_and_no_log(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    server.headers = {"X-Echo": f"Bearer {KEY}"}
    server.says(f'{{"verdict": "pass", "reason": "you are {KEY}"}}')
    with caplog.at_level(logging.DEBUG):
        found = Judge(server.endpoint).ask("", "")
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert found == '{"verdict": "pass", "reason": "you are [key]"}'
    assert "b'Bearer [key]'" in caplog.text
    assert KEY not in caplog.text
