"""The engine behind a served variant: several requests at a time, kept when it still tells the same of itself.

A request that cannot be answered leaves its case unscored with the reason, and never ends the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pytest_quantgate.cases.model import Message
from pytest_quantgate.endpoint import HARMLESS
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.event_loop import beside, run_apart
from pytest_quantgate.generation.progress import Progress
from pytest_quantgate.generation.served_client import (
    BarredError,
    Limits,
    RefusedError,
    ServedClient,
    UnansweredError,
)
from pytest_quantgate.generation.served_protocol import Dialect, body_of, dialects
from pytest_quantgate.variants.served import ServedVariant, check_server_unchanged

Keep = Callable[[Mapping[str, Completion]], None]

CONFIRMED_EVERY: Final = 10.0
"""Seconds after which a server is asked again what it serves, so that what it answered before can be kept."""

_NOT_GREEDY: Final = -0.01  # nats below another token; a tie is none
_PROBE: Final = Request((Message("user", HARMLESS),), 1)
_BEGUN: Final = ("yes yes yes yes", "yes yes yes yes yes yes yes yes")
_NO_CONTINUING: Final = "the server does not go on with an answer that was begun"


@dataclass(frozen=True, slots=True)
class _Continuing:
    """Whether a server goes on with an answer that was begun.

    Attributes:
        problem: Why it does not; None when it does.
        further: Whether it must be asked to.
        echoes: Whether its answers repeat the beginning.
    """

    problem: str | None = None
    further: bool = True
    echoes: bool = False


class Served:
    """A variant that a server answers for.

    Args:
        variant: Who answers, and under which schedule.
        wait: Waits for so many seconds.
        limits: How patient the client is; its usual ones when None.
        clock: The time in seconds, from anywhere.
    """

    def __init__(
        self,
        variant: ServedVariant,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variant = variant
        self._address = variant.address
        self._client = ServedClient(variant.address, variant.concurrency, wait, limits, clock)
        self._clock = clock
        self._dialect: Dialect | None = None
        self._continuing: _Continuing | None = None

    def generate(self, requests: Sequence[Request], keep: Keep, progress: Progress) -> None:
        """Ask for answers.

        Args:
            requests: What is asked, each once.
            keep: Called, in another thread, with answers, by digest, once the server told behind them what it told
                before; also with what says why there is none.
            progress: Told, in that thread, how far it has come.

        Raises:
            ModelError: The server tells something else than before.
        """
        run_apart(self._generate(requests, keep, progress))

    def close(self) -> None:
        """Nothing is held between two calls."""

    async def _generate(self, requests: Sequence[Request], keep: Keep, progress: Progress) -> None:
        left = iter(self._in_order(requests))
        fresh: dict[str, Completion] = {}
        confirmed = self._clock()
        missing = odd = 0

        async def work() -> None:
            nonlocal confirmed, missing, odd
            for request in left:
                completion = await self._answer(request)
                fresh[request.digest] = completion
                progress.advance(1, completion.counted or 0)
                missing += completion.problem is not None
                odd += min(completion.margins, default=0.0) < _NOT_GREEDY
                if not self._variant.told or self._clock() - confirmed >= CONFIRMED_EVERY:
                    confirmed = self._clock()
                    await self._confirm(fresh, keep)

        async with self._client.connected():
            await self._learn(requests)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._variant.concurrency, len(requests))):
                        group.create_task(work())
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            await self._confirm(fresh, keep, last=True)
        if missing:
            why = f": {self._client.given_up}" if self._client.given_up else ""
            progress.note(f"{self._variant.label}: {missing} of {len(requests)} requests have no answer{why}")
        if odd:
            progress.note(
                f"{self._variant.label}: {odd} of {len(requests)} answers hold a token that was not the most probable "
                "one: the server decodes with penalties of its own"
            )

    async def _confirm(self, fresh: dict[str, Completion], keep: Keep, *, last: bool = False) -> None:
        """Keep what was answered, unless the server cannot be asked again now; at the end it is believed then."""
        answered = dict(fresh)  # others come while it is asked
        lasting = any(each.lasting for each in answered.values())
        if not lasting or await beside(partial(check_server_unchanged, self._variant)) or last:
            keep(answered)
            for digest in answered:
                fresh.pop(digest, None)

    def _in_order(self, requests: Sequence[Request]) -> list[Request]:
        """Longest prompts first, so that none is left over at the end; the other way round where it is asked for."""

        def length(request: Request) -> int:
            return sum(len(message.content) for message in request.messages)

        return sorted(requests, key=length, reverse=not self._variant.schedule.reverse)

    async def _answer(self, request: Request) -> Completion:
        continuing = self._continuing if request.answer_prefix else None
        try:
            if continuing is not None and continuing.problem is not None:
                raise RefusedError(continuing.problem)
            found = await self._ask(request, further=continuing is None or continuing.further)
        except UnansweredError as error:
            if isinstance(error, BarredError):
                await self._try_the_key()
            return Completion("", (), "unknown", 0, problem=str(error))
        if continuing is not None and continuing.echoes:
            return replace(found, text=found.text.removeprefix(request.answer_prefix))
        return found

    async def _try_the_key(self) -> None:
        """Give the server up unless it answers what it has answered before: then a firewall refused that one prompt."""
        try:
            await self._ask(_PROBE)
        except BarredError as error:
            self._client.given_up = self._client.given_up or str(error)
        except UnansweredError:  # which says nothing of the key
            pass

    async def _ask(self, request: Request, dialect: Dialect | None = None, *, further: bool = True) -> Completion:
        told = dialect or self._dialect or Dialect()
        body = body_of(request, self._address.model, self._address.kind, told, further=further)
        return await self._client.complete(body, request.max_new_tokens)

    async def _learn(self, requests: Sequence[Request]) -> None:
        """Find out what the server takes, by questions of one token: once, and only what these requests need."""
        if self._dialect is None:
            self._dialect = await self._find_dialect()
        if self._continuing is None and any(request.answer_prefix for request in requests):
            chat = self._address.kind == "chat"
            self._continuing = await self._find_continuing() if chat else _Continuing()

    async def _find_dialect(self) -> Dialect | None:
        """Which fields the server takes; None when it cannot be asked at all, and is given up."""
        refusal = ""
        for dialect in dialects(self._address.kind):
            try:
                await self._ask(_PROBE, dialect)
            except BarredError as error:  # before anything was answered: no prompt is as harmless
                refusal = str(error)
                break
            except RefusedError as error:
                refusal = str(error)
            except UnansweredError as error:  # after as many attempts as any request gets
                refusal = str(error)
                break
            else:
                return dialect
        self._client.given_up = self._client.given_up or refusal
        return None

    async def _find_continuing(self) -> _Continuing:
        """Whether the server goes on with an answer that was begun, by the lengths of its prompts.

        Continued, a beginning of n words makes a prompt longer by n words, and by nothing else. A server that closes
        the message and begins another one, which would be silently wrong, adds the marks of both.
        """
        problem = _NO_CONTINUING
        for further in (True, False):
            try:
                plain = await self._ask(_PROBE)
                short, long = [
                    await self._ask(replace(_PROBE, answer_prefix=begun), further=further) for begun in _BEGUN
                ]
            except RefusedError as error:
                problem = f"{_NO_CONTINUING}: {error}"
                continue
            except UnansweredError as error:
                return _Continuing(problem=f"nobody knows whether the server goes on with a begun answer: {error}")
            if not plain.prompt_tokens:
                return _Continuing(problem=f"{_NO_CONTINUING}, as far as is known: it does not count tokens of prompts")
            if 2 * short.prompt_tokens - long.prompt_tokens == plain.prompt_tokens < short.prompt_tokens:
                return _Continuing(further=further, echoes=short.text.startswith(_BEGUN[0]))
        return _Continuing(problem=problem)
