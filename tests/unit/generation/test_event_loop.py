"""Servers are asked in an event loop of their own: beside one that is running, and until an interrupt."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from pytest_quantgate.errors import QuantgateWarning
from pytest_quantgate.generation import served as engine
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.served import prepare_served
from tests.faulty import STALL, Asked, FaultyServer, Reply, chat, of
from tests.unit.generation.served_run import Run, after_probe, requests, variant


def test_a_server_is_asked_where_an_event_loop_is_running_already() -> None:
    async def notebook(url: str) -> list[str | None]:
        return Run(url, requests(3)).problems

    with FaultyServer(after_probe()) as server:
        assert asyncio.run(notebook(server.url)) == [None] * 3


def interrupt() -> None:
    """Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_an_interrupt_waits_for_no_reply_and_loses_no_answer_that_was_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONFIRMED_EVERY", 0.0)

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            return of({"version": "1.0"}) if asked.path == "/version" else None
        if asked.body["messages"][-1]["content"] == "What is 3?":
            interrupt()
            return STALL
        return chat()

    asked = requests(6)
    with FaultyServer(says) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?as=mine&concurrency=1#big")
        with pytest.raises(KeyboardInterrupt):
            answer(served, asked, cache, SilentProgress())
        assert cache.get(served.identity.digest, [each.digest for each in asked]).keys() == {
            each.digest for each in asked[:3]
        }
        assert len(server.bodies) == 1 + 4  # the question that finds out what it takes, and those up to the interrupt


def test_an_interrupt_waits_for_no_server_that_is_asked_again_what_it_serves(tmp_path: Path) -> None:
    answered, interrupted = threading.Event(), threading.Event()

    def says(asked: Asked) -> Reply | None:
        if asked.method == "POST":
            answered.set()
            return chat()
        if asked.path != "/version":
            return None
        return STALL if answered.is_set() else of({"version": "1.0"})

    def once() -> None:
        if not interrupted.is_set():
            interrupted.set()
            interrupt()

    with FaultyServer(says, stalled=once) as server, CompletionCache(tmp_path / "cache") as cache:
        served = prepare_served(f"{server.url}?as=mine#big")
        before = len(server.asked)
        with pytest.raises(KeyboardInterrupt):
            answer(served, requests(1), cache, SilentProgress())
        looks = [each.path for each in server.asked[before:] if each.method == "GET"]
        assert looks.count("/version") == 1  # and was not waited for until it was asked again


def test_answers_are_found_again_where_no_cache_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    asked = requests(3)
    with FaultyServer(after_probe()) as server:
        with pytest.warns(QuantgateWarning) as told:
            cache = CompletionCache(tmp_path / "file" / "cache")
        with cache:
            answer(variant(server.url), asked, cache, SilentProgress())
            assert answer(variant(server.url), asked, cache, SilentProgress()).cached == 3
    assert len(told) == 1
