"""Several things at a time: all are done, an error is raised, and an interrupt waits for nothing."""

from __future__ import annotations

import signal
import threading

import pytest

from pytest_quantgate.plugin.several import several_at_a_time


def test_everything_is_done_once_and_several_at_a_time() -> None:
    together, done = threading.Barrier(3, timeout=300), list[int]()

    def work(item: int) -> None:
        together.wait()
        done.append(item)

    several_at_a_time(work, range(9), 3)
    assert sorted(done) == list(range(9))
    several_at_a_time(work, [], 3)


def test_what_is_raised_is_raised_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 2:
            raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        several_at_a_time(work, range(9), 1)
    assert begun == [0, 1, 2]


def test_an_interrupt_waits_for_nothing_that_is_being_done_and_nothing_more_is_begun() -> None:
    go_on, ended = threading.Event(), threading.Event()
    begun: list[int] = []
    waited: list[bool] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            waited.append(not go_on.wait(60))
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        several_at_a_time(work, range(9), 1)
    go_on.set()
    assert ended.wait(60)
    assert (begun, waited) == ([0, 1], [False])
