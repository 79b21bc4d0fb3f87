"""Asking a server once, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.served import Served
from pytest_quantgate.generation.served_client import Limits
from pytest_quantgate.variants.address import parse_address
from pytest_quantgate.variants.identity import Identity
from pytest_quantgate.variants.served import ServedVariant
from pytest_quantgate.variants.spec import parse_spec
from tests.faulty import Asked, Reply, Says, chat

PATIENT = Limits(seconds=60.0)


def variant(url: str, *, kept: bool = True) -> ServedVariant:
    address = parse_address(url if "#" in url else f"{url}#big")
    return ServedVariant(parse_spec(str(address)), address, Identity({"model": "big"}), kept)


def requests(count: int, **more: Any) -> list[Request]:
    return [Request((Message("user", f"What is {number}?"),), 4, **more) for number in range(count)]


class Told(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0

    def advance(self, cases: int, tokens: int) -> None:
        del tokens
        self.done += cases

    def note(self, message: str) -> None:
        self.notes.append(message)


class Time:
    """Seconds that pass only when all who work wait, and then at once; nobody waits in truth.

    Attributes:
        now: Seconds that have passed.
        waits: What was waited for, in the order in which it began.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._until: list[tuple[float, int]] = []

    async def wait(self, seconds: float) -> None:
        mine = (self.now + seconds, len(self.waits))
        self.waits.append(seconds)
        self._until.append(mine)
        while min(self._until) != mine or len(self._until) < self._working():  # noqa: ASYNC110  (others may end unseen)
            await asyncio.sleep(0.001)  # the server's threads have their turn
        self._until.remove(mine)
        self.now = mine[0]

    @staticmethod
    def _working() -> int:
        """Tasks, without the one that waits for the others."""
        return max(1, len(asyncio.all_tasks()) - 1)


class Run:
    """What came of asking: answers in the order of the requests, in which they were kept, and the waits between."""

    def __init__(
        self,
        url: str,
        asked: Sequence[Request],
        limits: Limits = PATIENT,
        *,
        served: ServedVariant | None = None,
        time: Time | None = None,
    ) -> None:
        time = time or Time()
        self.waits = time.waits
        self.kept: dict[str, Completion] = {}
        self.told = Told()

        def keep(fresh: Mapping[str, Completion]) -> None:
            self.kept.update(fresh)

        Served(served or variant(url), time.wait, limits, lambda: time.now).generate(asked, keep, self.told)
        self.answers = [self.kept[request.digest] for request in asked]

    @property
    def problems(self) -> list[str | None]:
        return [each.problem for each in self.answers]


def after_probe(*replies: Reply, then: Reply | None = None) -> Says:
    """The question that finds out what the server takes is answered; then come the replies, the last one for ever."""
    said = iter([chat(), *replies])

    def says(asked: Asked) -> Reply | None:
        if asked.method == "GET":
            return None
        return next(said, then or (replies[-1] if replies else chat()))

    return says
