"""A client that is patient with a server, for a bounded time, and never believes a reply.

A request that fails in passing is made again, later each time: until its time is over where the server is away (the
connection drops, it is busy, or a gateway says so), and a few times where its reply is of no use. A server that has
answered nothing for a while is given up, and then no request waits for it any more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.endpoint import (
    AWAY,
    BARRED,
    BUSY,
    HOPELESS,
    OK,
    authorization,
    back_off,
    retry_after,
    try_below,
    verification,
)
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.generation.served_protocol import ReplyError, read_reply, said
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.address import ServedAddress, key_for

if TYPE_CHECKING:
    import httpx2

_REDIRECTED: Final = range(300, 400)
_BLAMED: Final = range(400, 500)  # statuses that say the request itself is wrong


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the client is.

    Attributes:
        attempts: Most times that one request gets a reply of no use.
        back_off: Most seconds between two attempts, where a server does not ask for more.
        longest_wait: Most seconds between two attempts, whatever a server asks for.
        connect: Seconds that connecting may take.
        seconds: Seconds that a request may take, all attempts together, beside ``per_token``; one attempt at most half.
        per_token: Seconds more for each token that is asked for.
        silence: Seconds without any answer after which a request that fails is not made again.
        dead_after: Requests in a row that fail in such a silence until the server is given up.
        bytes: Most bytes of a reply, beside ``bytes_per_token``.
        bytes_per_token: Bytes more for each token that is asked for.
    """

    attempts: int = 5
    back_off: float = 20.0
    longest_wait: float = 60.0
    connect: float = 20.0
    seconds: float = 600.0
    per_token: float = 0.5
    silence: float = 120.0
    dead_after: int = 3
    bytes: int = 1 << 20
    bytes_per_token: int = 1 << 10


LIMITS = Limits()
"""Of every client that is not given others."""


class UnansweredError(Exception):
    """There is no answer to one request; the text is a reason in one line."""


class RefusedError(UnansweredError):
    """The server takes no such request."""


class BarredError(RefusedError):
    """The server refuses the key; or a firewall refuses the prompt."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """What went wrong in passing.

    Attributes:
        text: In one line.
        away: The server takes no requests for a while, whatever they ask.
    """

    text: str
    away: bool = False


class ServedClient:
    """Asks one endpoint for completions.

    Args:
        address: Where it is.
        concurrency: Most requests at a time.
        wait: Waits for so many seconds.
        limits: How patient to be; ``LIMITS`` when None.
        clock: The time in seconds, from anywhere.

    Attributes:
        given_up: Why nothing is asked any more; None while there is hope.

    Raises:
        SpecError: The environment's keys are malformed.
    """

    def __init__(
        self,
        address: ServedAddress,
        concurrency: int,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.given_up: str | None = None
        self._address = address
        self._concurrency = concurrency
        self._wait = wait
        self._limits = limits or LIMITS
        self._clock = clock
        self._key = key_for(address)
        self._verify = verification(address.url)
        self._where = f"the server at {address.url}"
        self._http: httpx2.AsyncClient | None = None
        self._failed = 0  # requests in a row
        self._silent_since: float | None = None  # the first fault since the last answer
        self._not_before = 0.0  # a busy server's word, for all requests

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold connections open within."""
        import httpx2

        # what is encoded could grow without bound when it is read
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json", **authorization(self._key)}
        async with httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=self._limits.connect),  # a request is bounded as a whole
            limits=httpx2.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency),
            follow_redirects=False,  # the key is for this host
            verify=self._verify,
        ) as self._http:
            yield

    async def complete(self, body: Mapping[str, Any], tokens: int) -> Completion:
        """One completion, after as many attempts as it takes.

        Args:
            body: The request.
            tokens: Most tokens that it asks for.

        Raises:
            BarredError: The server refuses the key, or this prompt.
            RefusedError: The server takes no such request.
            UnansweredError: It did not answer.
        """
        try:
            found = await self._attempts(json.dumps(body).encode(), tokens)  # ASCII: a lone surrogate is an escape
        except RefusedError:
            self._heard()
            raise
        except UnansweredError as error:
            self._failed += 1
            silence = self._silence(0.0)
            if self.given_up is None and self._failed >= self._limits.dead_after and silence >= self._limits.silence:
                self.given_up = f"given up after {silence:.0f} seconds without any answer: {error}"
            raise
        self._heard()
        return found

    def _heard(self) -> None:
        """The server is there."""
        self._failed = 0
        self._silent_since = None

    def _silence(self, since: float) -> float:
        """Seconds without any answer, counted from a moment on; 0 where nothing failed since the last one."""
        return 0.0 if self._silent_since is None else self._clock() - max(since, self._silent_since)

    async def _attempts(self, content: bytes, tokens: int) -> Completion:
        seconds = self._limits.seconds + tokens * self._limits.per_token
        start = self._clock()
        trouble = f"{self._where} is busy"
        made = useless = 0
        while useless < self._limits.attempts and self._silence(start) < self._limits.silence:
            if not await self._paused(made, start + seconds):
                break
            if self.given_up is not None:
                raise UnansweredError(self.given_up)
            made += 1
            found = await self._attempt(content, tokens, min(seconds / 2, start + seconds - self._clock()))
            if isinstance(found, Completion):
                return found
            trouble = found.text
            useless += not found.away
            if self._silent_since is None:
                self._silent_since = self._clock()
        raise UnansweredError(f"{trouble} ({counted(made, 'attempt')})")

    async def _paused(self, made: int, end: float) -> bool:
        """Wait as long as it is right after so many attempts; whether there is time left for another one."""
        pause = max(self._not_before - self._clock(), 0.0)
        if made:
            pause = max(pause, back_off(made, longest=self._limits.back_off))
        if self._clock() + pause >= end:
            return False
        if pause:
            await self._wait(pause)
        return True

    async def _attempt(self, content: bytes, tokens: int, seconds: float) -> Completion | _Fault:
        """The completion, or what went wrong in passing.

        Raises:
            BarredError: The server refuses the key, or this prompt.
            RefusedError: The server takes no such request.
            UnansweredError: Every request would end like this one.
        """
        import httpx2

        try:
            async with asyncio.timeout(seconds):
                status, reply = await self._post(content, tokens)
            if status == OK:
                return read_reply(reply, self._address.kind, tokens, self._key)
        except TimeoutError:
            return _Fault(f"{self._where} did not answer in time")
        except ReplyError as error:
            return _Fault(f"{self._where} answers with garbage: {error}")
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            return _Fault(f"{self._where} cannot be reached: {type(error).__name__}", away=True)
        trouble = f"{self._where} answers with status {status}{said(reply, self._key)}"
        if status in _REDIRECTED:
            self.given_up = f"{trouble}: it redirects; name the address that it redirects to"
        elif status in BARRED:
            raise BarredError(trouble)
        elif status in HOPELESS:
            self.given_up = f"{trouble}{try_below(self._address.url)}"
        elif status in _BLAMED and status not in BUSY:
            raise RefusedError(trouble)
        if self.given_up is not None:
            raise UnansweredError(self.given_up)
        return _Fault(trouble, away=status in AWAY)

    async def _post(self, content: bytes, tokens: int) -> tuple[int, bytes]:
        """Status and body of one reply.

        Raises:
            ReplyError: The body is longer than any answer can be, or is encoded.
        """
        assert self._http is not None, "a request outside of `connected`"  # noqa: S101  (a mistake of ours)
        most = self._limits.bytes + tokens * self._limits.bytes_per_token
        async with self._http.stream("POST", self._address.asked, content=content) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ReplyError("it is compressed, which nobody asked for")
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > most:
                    raise ReplyError(f"it is longer than {most:,} bytes")
            asked = retry_after(response.headers.get("retry-after", ""), longest=self._limits.longest_wait)
            if response.status_code in BUSY and asked:
                self._not_before = max(self._not_before, self._clock() + asked)
            return response.status_code, bytes(body)
