"""An event loop in a thread of its own: where one is running already, as in a notebook, no other can run beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, whatever else runs in this thread.

    An interrupt of this thread cancels it, and is raised once it has ended.

    Args:
        work: What to run; what it raises is raised here.
    """
    loop = asyncio.new_event_loop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(work)

    with ThreadPoolExecutor(1, "quantgate-loop") as pool:
        done = pool.submit(run)
        try:
            done.result()
        finally:
            with suppress(RuntimeError):  # it has ended by itself, and the loop is closed
                loop.call_soon_threadsafe(_cancel_all, loop)


async def beside(work: Callable[[], T]) -> T:
    """What blocking work gives, done in a thread of its own; who is cancelled does not wait for its end.

    Args:
        work: What to do; what it raises is raised here.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001  (it is raised where it is waited for)
            done.set_exception(error)
        else:
            done.set_result(found)

    done.set_running_or_notify_cancel()  # so that who is cancelled leaves it to its end
    Thread(target=run, name="quantgate-beside", daemon=True).start()
    return await asyncio.wrap_future(done)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
