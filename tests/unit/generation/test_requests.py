"""What answers depend on: requests and their digests, which key the cache."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request

CHAT = (Message("system", "Be brief."), Message("user", "What is the capital of France?"))
DIGEST = "6e8ae3e7b48ff2b04d399cca5917a2efda5a82084334bead1746de353f2f19ac"


def test_the_digest_of_a_plain_request_is_what_it_always_was() -> None:
    assert Request(CHAT, 8).digest == DIGEST


def test_the_prefix_and_what_is_to_be_measured_change_the_answer_and_so_the_digest() -> None:
    requests = [
        Request(CHAT, 8),
        Request(CHAT, 8, "It is"),
        Request(CHAT, 8, "", ("Paris",)),
        Request(CHAT, 8, "It is", ("Paris",)),
        Request(CHAT, 8, "It is", ("Paris", "Lutetia")),
    ]
    assert len({request.digest for request in requests}) == len(requests)


def test_a_case_asks_for_what_its_checks_want_measured() -> None:
    checks = (CheckSpec("recall", {"answer": "Paris"}), CheckSpec("json"))
    case = Case("a", CHAT, checks, 1, answer_prefix="It is")
    assert Request.of(case) == Request(CHAT, 1, "It is", ("Paris",))


def test_what_was_measured_is_kept_with_the_answer(tmp_path: Path) -> None:
    measured = (Recall("Paris", (5, 6), (1, 3), (0, 2), (-0.25, -17.5)), Recall("x", problem="odd"))
    answer = Completion(" Lyon", (9,), "length", 12, (0.5,), recall=measured)
    path = tmp_path / "completions.sqlite3"
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": answer})
    with CompletionCache(path) as cache:
        assert cache.get("variant", ["a"]) == {"a": answer}


def test_an_answer_without_measures_is_kept_as_it_always_was(tmp_path: Path) -> None:
    path = tmp_path / "completions.sqlite3"
    with CompletionCache(path) as cache:
        cache.put("variant", {"a": Completion("Paris", (5,), "stop", 12)})
    with closing(sqlite3.connect(path)) as database:
        (payload,) = database.execute("SELECT payload FROM completions").fetchone()
    assert sorted(json.loads(payload)) == ["finish_reason", "margins", "problem", "prompt_tokens", "text", "token_ids"]
