"""Asking a server once, and what came of it."""

from __future__ import annotations

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


class Run:
    """What came of asking: answers in the order of the requests, in which they were kept, and the waits between."""

    def __init__(
        self,
        url: str,
        asked: Sequence[Request],
        limits: Limits = PATIENT,
        *,
        served: ServedVariant | None = None,
    ) -> None:
        self.waits: list[float] = []
        self.kept: dict[str, Completion] = {}
        self.told = Told()

        async def wait(seconds: float) -> None:
            self.waits.append(seconds)

        def keep(fresh: Mapping[str, Completion]) -> None:
            self.kept.update(fresh)

        Served(served or variant(url), wait, limits).generate(asked, keep, self.told)
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
