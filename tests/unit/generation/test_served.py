"""Asking a server: what is sent, what is believed, and what is kept."""

from __future__ import annotations

import itertools
import json
import logging
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.kept import RunCache
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.served_client import Limits
from pytest_quantgate.generation.served_protocol import ReplyError, read_reply
from pytest_quantgate.variants.address import KEY_VARIABLE
from pytest_quantgate.variants.served import serve_another_way
from tests.faulty import Asked, FaultyServer, Reply, Says, chat, of
from tests.unit.generation.served_run import Run, after_probe, requests, variant

KEY = "sk-very-secret"


def test_decoding_is_greedy_and_bounded_and_what_the_server_counts_is_kept() -> None:
    others = [{"token": "fi", "logprob": -0.1}, {"token": "x", "logprob": -2.35}]
    token = {"token": "fi", "logprob": -0.1, "top_logprobs": others}
    with FaultyServer(after_probe(chat("fine", finish="length", logprobs={"content": [token]}))) as server:
        (found,) = Run(server.url, requests(1)).answers
    assert found == Completion("fine", (), "length", 5, margins=(2.25,), counted=1)
    assert server.bodies[-1] == {
        "model": "big",
        "messages": [{"role": "user", "content": "What is 0?"}],
        "temperature": 0,
        "max_tokens": 4,
        "seed": 0,
        "logprobs": True,
        "top_logprobs": 2,
    }


def test_text_completions_get_the_contents_and_the_begun_answer() -> None:
    def says(asked: Asked) -> Reply | None:
        assert asked.path == "/v1/completions" or asked.method == "GET"
        return of({"choices": [{"text": "fine", "finish_reason": "stop"}]})

    request = Request((Message("system", "Be kind."), Message("user", "Hello?")), 4, answer_prefix="Well, ")
    with FaultyServer(says) as server:
        (found,) = Run(f"{server.url}/completions#big", [request]).answers
    assert (found.text, found.problem, found.counted) == ("fine", None, None)
    assert server.bodies[-1]["prompt"] == "Be kind.\n\nHello?\n\nWell, "


@pytest.mark.parametrize(
    ("refused", "sent"),
    [
        (set(), {"max_tokens", "seed", "logprobs", "top_logprobs"}),
        ({"logprobs"}, {"max_tokens", "seed"}),
        ({"seed"}, {"max_tokens", "logprobs", "top_logprobs"}),
        ({"max_tokens"}, {"max_completion_tokens", "seed", "logprobs", "top_logprobs"}),
        ({"max_tokens", "seed", "logprobs"}, {"max_completion_tokens"}),
    ],
)
def test_fields_that_a_server_refuses_are_left_out(refused: set[str], sent: set[str]) -> None:
    def says(asked: Asked) -> Reply | None:
        return of({"detail": "no such field"}, 422) if refused & set(asked.body or ()) else chat()

    with FaultyServer(says) as server:
        assert Run(server.url, requests(3)).problems == [None] * 3
    assert set(server.bodies[-1]) == {"model", "messages", "temperature"} | sent


def test_a_server_that_does_not_decode_greedily_is_not_asked() -> None:
    with FaultyServer(lambda _: of({"error": {"message": "temperature must be 1"}}, 400)) as server:
        run = Run(server.url, requests(3))
    assert len(server.bodies) == 8
    assert all("status 400: temperature must be 1" in str(problem) for problem in run.problems)


def test_requests_are_made_several_at_a_time_and_not_more() -> None:
    together = threading.Barrier(3, timeout=300)

    def says(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.number:
            together.wait()
        return chat()

    with FaultyServer(says) as server:
        assert Run(f"{server.url}?concurrency=3#big", requests(12), Limits()).problems == [None] * 12
    assert server.most == 3


def test_another_way_is_few_at_a_time_and_the_shortest_first() -> None:
    long = Request((Message("user", "Tell me all that you know of it. " * 9),), 4)
    with FaultyServer(after_probe()) as server:
        usual = variant(f"{server.url}?concurrency=1#big")
        Run(server.url, [*requests(2), long], served=usual)
        other = serve_another_way(usual, kernels=False)
        Run(server.url, [*requests(2), long], served=other)
    first, last = server.bodies[1], server.bodies[-1]
    assert first["messages"] == last["messages"] == [{"role": "user", "content": long.messages[0].content}]
    assert other.identity.digest != usual.identity.digest
    assert serve_another_way(variant(server.url), kernels=False).concurrency == 3


def test_a_key_goes_to_its_host_and_into_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(asked: Asked) -> Reply | None:
        return of({"error": f"who is {asked.key}?"}, 400) if asked.number else chat(f"you are {asked.key}")

    with FaultyServer(says) as server, FaultyServer(lambda _: chat()) as other:
        host = server.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv(KEY_VARIABLE, f"elsewhere=other {host}={KEY}")
        run = Run(server.url, requests(1))
        Run(other.url, requests(1))
    assert {each.key for each in server.asked} == {f"Bearer {KEY}"}
    assert {each.key for each in other.asked} == {None}
    assert KEY not in repr(run.answers)
    assert "who is Bearer [key]?" in str(run.problems[0])


def test_a_key_is_in_no_log_of_the_client(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    echo = f"HTTP/1.1 400 Who is {KEY}\r\nX-Echo: Bearer {KEY}\r\nContent-Length: 0\r\n\r\n"
    with FaultyServer(after_probe(Reply(raw=echo.encode()))) as server, caplog.at_level(logging.DEBUG):
        monkeypatch.setenv(KEY_VARIABLE, f"{server.url.removeprefix('http://').removesuffix('/v1')}={KEY}")
        Run(server.url, requests(1))
    assert {each.key for each in server.asked} == {f"Bearer {KEY}"}
    assert "400 Who is [key]" in caplog.text
    assert "b'Bearer [key]'" in caplog.text
    assert KEY not in caplog.text


ECHOES = {
    "as it is": '"sk-very/secret"',
    "slashes": r'"sk-very\/secret"',
    "escapes": r'"\u0073k\u002Dvery\u002fsecret"',
    "JSON in JSON": json.dumps(r'{"key": "sk\u002dvery\/secret"}'),
    "cut": json.dumps("." * 150 + "sk-very/secret"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_key_is_in_no_message_however_a_server_spells_it(
    echo: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Reply(f'{{"error": {echo}}}'.encode(encoding), 400)
    answer = Reply(f'{{"choices": [{{"message": {{"content": {echo}}}}}]}}'.encode(encoding))
    with FaultyServer(after_probe(refusal, answer)) as server:
        monkeypatch.setenv(KEY_VARIABLE, f"{server.url.removeprefix('http://').removesuffix('/v1')}=sk-very/secret")
        run = Run(f"{server.url}?concurrency=1#big", requests(2))
    (told,) = filter(None, run.problems)
    for text in (told, *filter(None, (each.text for each in run.answers))):
        assert "[key" in text
        assert "very" not in text


BEGUN = [Request((Message("user", "Where is Rome?"),), 4, answer_prefix="It is in")]


def counting(base: int, *, around: int, needs: bool = False, echo: bool = False) -> Says:
    """A server whose prompts are a token a word, with marks around a message that it does not go on with."""

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            return None
        begun = [each["content"] for each in asked.body["messages"] if each["role"] == "assistant"]
        on = begun and (not needs or asked.body.get("continue_final_message"))
        tokens = base + sum(len(each.split()) for each in begun) + (around if begun and not on else 0)
        return chat(f"{begun[0]} Italy" if echo and begun else " Italy", prompt_tokens=tokens)

    return says


@pytest.mark.parametrize(("needs", "echo"), [(True, False), (False, False), (True, True)])
def test_a_begun_answer_is_asked_for_where_the_server_goes_on_with_it(needs: bool, echo: bool) -> None:  # noqa: FBT001  (parametrized)
    with FaultyServer(counting(5, around=5, needs=needs, echo=echo)) as server:
        (found,) = Run(server.url, BEGUN).answers
    assert (found.text, found.problem) == (" Italy", None)
    body = server.bodies[-1]
    assert body["messages"][-1] == {"role": "assistant", "content": "It is in"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def never_goes_on(asked: Asked) -> Reply | None:
    if asked.method == "GET":
        return None
    words = sum(len(each["content"].split()) for each in asked.body["messages"])
    return chat(prompt_tokens=4 + words + 5 * (len(asked.body["messages"]) - 1))


def refuses_to_go_on(asked: Asked) -> Reply | None:
    if "continue_final_message" in (asked.body or ()):
        return of({"detail": "Unexpected fields"}, 422)
    return never_goes_on(asked)


def does_not_count(asked: Asked) -> Reply | None:
    return None if asked.method == "GET" else of({"choices": [{"message": {"content": "x"}}]})


@pytest.mark.parametrize("says", [never_goes_on, refuses_to_go_on, does_not_count])
def test_a_begun_answer_is_unscored_where_nobody_knows_that_the_server_goes_on(says: Says) -> None:
    plain = requests(1)
    with FaultyServer(says) as server:
        begun, other = Run(server.url, [*BEGUN, *plain]).answers
    assert str(begun.problem).startswith("the server does not go on with an answer that was begun")
    assert other.problem is None


def test_only_answers_are_kept_for_the_next_run(tmp_path: Path) -> None:
    bad = "What is 1?"

    def says(asked: Asked) -> Reply | None:
        return Reply(status=400) if asked.body and asked.body["messages"][0]["content"] == bad else chat("a\x00\ud800")

    asked = requests(3)
    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        first = answer(variant(server.url), asked, cache, SilentProgress())
        again = answer(variant(server.url), asked, cache, SilentProgress())
    assert (first.generated, again.generated, again.cached) == (3, 1, 2)
    assert [again.completions[each.digest].problem is None for each in asked] == [True, False, True]
    assert again.completions[asked[0].digest] == first.completions[asked[0].digest]
    assert again.completions[asked[0].digest].text == "a\x00\ufffd"


def test_each_answer_is_kept_before_the_next_one_is_there(tmp_path: Path) -> None:
    asked = sorted(requests(9), key=lambda each: -len(each.messages[0].content))
    served = variant("http://127.0.0.1:1/v1?concurrency=1#big")
    kept: list[int] = []

    def says(each: Asked) -> Reply | None:
        if each.method == "POST":
            with CompletionCache(tmp_path / "cache") as own:
                kept.append(len(own.get(served.identity.digest, [request.digest for request in asked])))
        return chat()

    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        answer(variant(f"{server.url}?concurrency=1#big"), asked, cache, SilentProgress())
    assert kept == [0, *range(9)]


KEYS = (
    "choices message content text finish_reason usage completion_tokens prompt_tokens logprobs top_logprobs logprob "
    "token tokens token_logprobs tool_calls refusal"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_any_reply_is_a_completion_or_told(whole: Any, choice: Any, logprobs: Any) -> None:
    replies = [whole, {"choices": [choice]}, {"choices": [{"message": choice, "usage": whole}], "usage": choice}]
    replies += [{"choices": [{"message": {"content": "x"}, "text": "x", "logprobs": logprobs}], "usage": whole}]
    replies += [{"choices": [{"message": {"content": "x"}, "text": "x", "logprobs": {"content": [logprobs]}}]}]
    for kind, reply in itertools.product(("chat", "completions"), replies):
        try:
            found = read_reply(json.dumps(reply).encode(), kind, 4)  # type: ignore[arg-type]  # one of the two
        except ReplyError:
            continue
        assert all(map(math.isfinite, found.margins))
        found.text.encode()


def test_a_run_cache_forgets_nothing_of_its_run() -> None:
    cache = RunCache()
    with FaultyServer(after_probe()) as server:
        answer(variant(server.url), requests(2), cache, SilentProgress())
        found = answer(variant(server.url), requests(3), cache, SilentProgress())
    assert (found.cached, found.generated, found.audit) == (2, 1, None)


def test_a_server_with_penalties_of_its_own_is_told() -> None:
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -3.0}]
    odd = {"content": [{"token": "b", "logprob": -3.0, "top_logprobs": top}]}
    with FaultyServer(after_probe(chat("b", logprobs=odd))) as server:
        run = Run(server.url, requests(2))
    assert run.problems == [None, None]
    assert "2 of 2 answers hold a token that was not the most probable one" in run.told.notes[0]


def test_a_prompt_that_no_json_can_carry_is_sent_all_the_same() -> None:
    with FaultyServer(after_probe()) as server:
        assert Run(server.url, [Request((Message("user", "\ud800 \x00"),), 4)]).problems == [None]
    assert json.dumps(server.bodies[-1]["messages"][0]["content"]) == '"\\ud800 \\u0000"'
