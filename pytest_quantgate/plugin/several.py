"""Work that is mostly waiting, done for several things at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


def several_at_a_time(work: Callable[[T], object], items: Sequence[T], most: int) -> None:
    """Do something for each item, and return when all is done.

    An error ends it, and so does an interrupt: nothing more is begun, and what is being done is not waited for. Python
    would wait for a pool's threads before it ends; these are none.

    Args:
        work: What is done, in another thread; what it raises is raised here.
        items: What it is done for.
        most: How many items at a time.
    """
    numbers, over = count(), Event()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def go_on() -> None:
        try:
            while not over.is_set() and (number := next(numbers)) < len(items):
                work(items[number])
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            ended.put(error)
        else:
            ended.put(None)

    threads = [Thread(target=go_on, daemon=True) for _ in range(min(most, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            error = ended.get()
            if error is not None:
                raise error
    finally:
        over.set()
