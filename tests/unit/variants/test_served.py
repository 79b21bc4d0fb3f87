"""Served variants: how their addresses are written, who gets a key, and what makes two of them the same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.address import (
    KEY_VARIABLE,
    OPENAI_VARIABLE,
    ServedAddress,
    key_for,
    parse_address,
)
from pytest_quantgate.variants.served import ServedVariant, prepare_served, serve_another_way
from pytest_quantgate.variants.server_facts import TIMES
from pytest_quantgate.variants.spec import parse_spec, split_specs
from tests.faulty import DROP, Asked, FaultyServer, Reply, Says, of

KEY = "sk-very-secret"
COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"


@pytest.mark.parametrize(
    ("text", "canonical", "address"),
    [
        (" http://Box:8000/v1/#org/m ", "http://box:8000/v1#org/m", ServedAddress("http://box:8000/v1", "org/m")),
        ("http://box/v1/chat/completions#m", "http://box/v1#m", ServedAddress("http://box/v1", "m")),
        (
            "https://box/v1/completions#m",
            "https://box/v1/completions#m",
            ServedAddress("https://box/v1", "m", "completions"),
        ),
        (
            "http://[::1]:80/v1?concurrency=4&as=llama@0e9e+awq, g128#m",
            "http://[::1]:80/v1?as=llama@0e9e+awq%2C%20g128&concurrency=4#m",
            ServedAddress("http://[::1]:80/v1", "m", "chat", "llama@0e9e+awq, g128", 4),
        ),
    ],
)
def test_an_address_has_one_canonical_text(text: str, canonical: str, address: ServedAddress) -> None:
    assert parse_address(text) == parse_address(canonical) == address
    assert str(parse_spec(text)) == str(address) == canonical
    assert split_specs(f"nf4,{canonical},int8") == ["nf4", canonical, "int8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://box/v1", "does not name the model"),
        ("http:///v1#m", "is not the URL of an endpoint: it names no host"),
        ("http:/box/v1#m", "did you mean 'http://box/v1#m'"),
        ("https//box/v1#m", "did you mean 'https://box/v1#m'"),
        ("HTTP://box/v1#m", "written in small letters\n  did you mean 'http://box/v1#m'"),
        ("localhost:8000/v1#m", "neither http:// nor https://\n  did you mean 'http://localhost:8000/v1#m'"),
        ("localhost:8000", "neither http:// nor https://\n  did you mean 'http://localhost:8000'"),
        ("127.0.0.1:8000/v1#m", "did you mean 'http://127.0.0.1:8000/v1#m'"),
        ("box:8000/v1#m", "did you mean 'http://box:8000/v1#m'"),
        ("api.example.com/v1#m", "did you mean 'http://api.example.com/v1#m'"),
        (f"http:/me:{KEY}@box/v1#m", "holds no user name or password"),
        (f"box:8000/v1?api_key={KEY}#m", "neither http:// nor https://"),
        ("http://box:port/v1#m", "is not a URL"),
        (f"http://me:{KEY}@box/v1#m", "holds no user name or password"),
        (f"http://{KEY}@/v1#m", "holds no user name or password"),
        (f"http://box/v1?api_key={KEY}#m", "asks for something that no address has"),
        (f"http://box/v1?{KEY}#m", "asks for something that no address has"),
        (f"http://box/v1?api_key={KEY}", "does not name the model"),
        (f"ftp://box:port/v1?api_key={KEY}#m", "is not a"),
        (f"http://box:port/v1?api_key={KEY}#m", "is not a URL"),
        (f"http://box/v 1?api_key={KEY}#m", "holds a space"),
        ("http://box/v1?concurrency=0#m", "takes a number from 1 to 1024"),
        ("http://box/v1?concurrency=9999#m", "takes a number from 1 to 1024"),
        ("http://box/v1?as=%20#m", "given twice, or empty"),
        ("http://box/v1?as=a&as=b#m", "given twice, or empty"),
        ("http://box/v1?as=a%0ab#m", "one line of at most 200 characters"),
        ("http://box/v 1#m", "holds a space"),
        ("http://box/v1#a b", "holds a space"),
    ],
)
def test_what_is_no_address_is_told_and_no_secret_with_it(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(text)
    assert KEY not in str(caught.value)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_an_address_or_told(query: str, model: str) -> None:
    text = f"http://box/v1?as={query}#{model}"
    try:
        found = parse_address(text)
    except SpecError:
        return
    assert parse_address(str(found)) == found


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        (f"box=other box:8000={KEY}", KEY),
        (f"BOX={KEY}", KEY),
        (f"a=1\nbox={KEY}=\n", f"{KEY}="),
        ("box:80=other", ""),
        ("ox=other mybox=other box.example=other", ""),
        ("box=", ""),  # a secret that is not set
        ("", ""),
    ],
)
def test_a_key_is_for_one_host(variable: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, variable)
    monkeypatch.setenv(OPENAI_VARIABLE, "openais")
    assert key_for(parse_address("http://box:8000/v1#m")) == key
    assert key_for(parse_address("https://api.openai.com/v1#m")) == "openais"
    assert key_for(parse_address("http://api.openai.com/v1#m")) == ""


@pytest.mark.parametrize("variable", [KEY, f"={KEY}", f"box={KEY}\x7f"])
def test_a_key_without_a_host_is_refused_and_not_shown(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, variable)
    with pytest.raises(SpecError) as caught:
        key_for(parse_address("http://box/v1#m"))
    assert KEY not in str(caught.value)


def tells(**places: Any) -> Says:
    """A server that answers about itself; a path is written with underscores."""

    def says(asked: Asked) -> Reply | None:
        value = places.get(asked.path.strip("/").replace("/", "_"))
        return value if isinstance(value, Reply) else None if value is None else of(value)

    return says


def models(**entry: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "other", "root": "other"}, {"id": "big", "created": 7, **entry}]}


def prepared(says: Says, query: str = "") -> ServedVariant:
    with FaultyServer(says) as server:
        return prepare_served(f"{server.url}{query}#big")


def told(variant: ServedVariant) -> dict[str, str]:
    fields = variant.identity.fields
    return {name.removeprefix("told:"): value for name, value in fields.items() if name.startswith("told:")}


SGLANG = {"model_path": "org/m", "revision": COMMIT, "dtype": "auto", "quantization": None, "version": "0.5.9"}


@pytest.mark.parametrize(
    ("places", "facts", "kept"),
    [
        ({"v1_models": {"data": []}}, {}, False),
        (
            {"v1_models": models(owned_by="vllm", root="/models/m", max_model_len=4096), "version": {"version": "1.2"}},
            {"owned_by": "vllm", "root": "m", "context": "4096", "server": "vLLM", "version": "1.2"},
            False,
        ),
        (
            {
                "v1_models": models(meta={"n_params": 9, "size": 5}),
                "props": {"build_info": "b1-2", "model_path": "/x/m-Q4.gguf"},
            },
            {"bytes": "5", "weights": "9", "server": "llama.cpp", "version": "b1-2", "model_path": "m-Q4.gguf"},
            False,
        ),
        (
            {
                "v1_models": models(),
                "info": {"model_id": "org/m", "model_sha": COMMIT, "model_dtype": "f16", "version": "3"},
            },
            {"model_path": "org/m", "revision": COMMIT, "dtype": "f16", "version": "3", "server": "TGI"},
            False,  # weights can be quantized while they are loaded, and nobody says so
        ),
        (
            {"v1_models": models(), "server_info": SGLANG},
            {
                "model_path": "org/m",
                "revision": COMMIT,
                "dtype": "auto",
                "quantization": "none",
                "version": "0.5.9",
                "server": "SGLang",
            },
            True,
        ),
        (
            {"v1_models": models(), "get_server_info": SGLANG | {"revision": "main"}},
            {"model_path": "org/m", "dtype": "auto", "quantization": "none", "version": "0.5.9", "server": "SGLang"},
            False,  # a branch moves
        ),
        ({"v1_models": models(root=f"/hub/snapshots/{COMMIT}")}, {"root": COMMIT, "revision": COMMIT}, False),
    ],
    ids=["nothing", "vLLM", "llama.cpp", "TGI", "SGLang", "branch", "snapshot"],
)
def test_what_a_server_tells_is_its_identity_and_decides_what_is_kept(
    places: dict[str, Any], facts: dict[str, str], *, kept: bool
) -> None:
    variant = prepared(tells(**places))
    assert told(variant) == facts
    assert variant.kept is kept
    assert ("as=TEXT" in variant.keeping) is not kept
    assert variant.summary.endswith(", chat completions, 16 at a time")
    assert variant.identity.fields.get("kept") == (None if kept else "for this run only")


def test_what_the_user_states_is_enough_and_part_of_the_identity() -> None:
    one, same, other = (prepared(tells(), f"?as={text}") for text in ("awq-1", "awq-1", "awq-2"))
    assert one.kept
    assert one.identity == same.identity  # on another port
    assert one.identity.digest != other.identity.digest


def test_where_and_how_fast_it_is_served_is_no_part_of_the_identity() -> None:
    assert prepared(tells()).identity == prepared(tells(), "?concurrency=3").identity
    chat, text = prepared(tells()), prepared(tells(), "/completions")
    assert chat.identity.digest != text.identity.digest


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>"),
        Reply(b"[" * 99_999),
        of([]),
        of({"data": [7, {"id": "big", "root": ["x"]}]}),
        Reply(status=500),
    ],
)
def test_a_server_that_tells_nothing_sensible_tells_nothing(reply: Reply) -> None:
    assert told(prepared(tells(v1_models=reply, version=reply, props=reply, info=reply, server_info=reply))) == {}


def test_facts_are_one_short_line(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = told(prepared(tells(v1_models=models(root="a\n\x1b[31m\u202e" + "x" * 999))))
    assert facts["root"].isprintable()
    assert len(facts["root"]) <= 200
    monkeypatch.setenv(KEY_VARIABLE, f"127.0.0.1={KEY}")
    echo = prepared(lambda asked: of(models(root=asked.key)) if "models" in asked.path else None)
    assert told(echo) == {"root": "Bearer [key]"}
    spelled = Reply(json.dumps(models(root=KEY)).replace("-", "\\u002d").encode())
    assert told(prepared(tells(v1_models=spelled))) == {"root": "[key]"}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=401), "refuses the key with status 401"),
        (Reply(status=503), "cannot be reached: status 503"),
        (DROP, "cannot be reached: RemoteProtocolError"),
    ],
)
def test_a_server_that_cannot_be_asked_is_an_error(reply: Reply, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        prepared(lambda _: reply)


def test_a_server_is_asked_again_before_it_is_an_error(waits: list[float]) -> None:
    assert prepared(lambda asked: DROP if asked.number < 2 else None).kept is False
    assert waits == [0.5, 1.0]


@pytest.mark.usefixtures("waits")
def test_answers_are_not_kept_where_a_part_of_the_identity_could_not_be_asked() -> None:
    assert prepared(tells(version=DROP), "?as=x").kept is False


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("proxy", [f"socks5://me:{KEY}@127.0.0.1:1", f"nothing://me:{KEY}@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ModelError) as caught:
        prepared(tells())
    assert KEY not in str(caught.value)


def by_turns(place: str, *facts: Any, by: Callable[[Asked], int] = lambda asked: asked.number) -> Says:
    """Several servers behind one address: what each tells at a place, and who is asked."""
    asked_by: list[int] = []

    def says(asked: Asked) -> Reply | None:
        if by(asked) not in asked_by:
            asked_by.append(by(asked))
        found = facts[asked_by.index(by(asked)) % len(facts)]
        return of(found) if asked.path == place else None

    return says


OLD, NEW = {"version": "1.0"}, {"version": "1.1"}


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (by_turns("/version", OLD, NEW), "version"),
        (by_turns("/version", OLD, OLD, OLD, NEW), "version"),
        (by_turns("/version", OLD, NEW, by=lambda asked: asked.port), "version"),
        (by_turns("/v1/models", models(root="org/m"), models(root="org/m-awq")), "root"),
        (by_turns("/server_info", SGLANG, SGLANG | {"quantization": "awq"}), "quantization"),
        (by_turns("/v1/models", models(owned_by="vllm"), {"data": []}), "owned_by"),
    ],
    ids=["by request", "one of four", "by connection", "models", "quantization", "one without the model"],
)
@pytest.mark.parametrize("query", ["", "?as=mine"])
def test_servers_that_are_not_alike_behind_one_address_are_refused(says: Says, told: str, query: str) -> None:
    with pytest.raises(ModelError, match=rf"several servers that are not alike take turns .*: {told} \(") as caught:
        prepared(says, query)
    if told == "version":
        assert "1.0" in caught.value.what
        assert "1.1" in caught.value.what


@pytest.mark.parametrize("turn", range(1, TIMES))
@pytest.mark.parametrize("then", [NEW, OLD | {"model": "m"}], ids=["restarted", "tells more"])
def test_one_server_that_changes_what_it_tells_is_not_taken_for_several(turn: int, then: dict[str, str]) -> None:
    looks: list[str] = []

    def says(asked: Asked) -> Reply | None:
        if asked.path != "/props":
            return None
        looks.append(asked.path)
        found = OLD if len(looks) <= turn else then
        return of({"build_info": found["version"], "model_path": found.get("model")})

    found = told(prepared(says))
    assert (found["version"], found.get("model_path")) == (then["version"], then.get("model"))
    assert len(looks) == turn + TIMES


def test_servers_that_are_alike_may_take_turns() -> None:
    assert told(prepared(by_turns("/version", OLD, {**OLD}))) == {"server": "vLLM", "version": "1.0"}


def test_nobody_chooses_the_kernels_of_a_server() -> None:
    with pytest.raises(SpecError, match="kernels of a server"):
        serve_another_way(prepared(tells()), kernels=True)
