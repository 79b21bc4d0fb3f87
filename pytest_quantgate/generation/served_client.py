"""A client that is patient with a server, for a bounded time, and never believes a reply.

A request that fails in passing (the connection drops, the server is busy, the reply is garbage) is made again, later
each time. A server that failed many requests in a row is given up, and then no request waits for it any more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.endpoint import BUSY, HOPELESS, OK, back_off, retry_after, verification
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.generation.served_protocol import ReplyError, read_reply, said
from pytest_quantgate.variants.address import ServedAddress, key_for

if TYPE_CHECKING:
    import httpx2

_REDIRECTED: Final = range(300, 400)
_BLAMED: Final = range(400, 500)  # statuses that say the request itself is wrong


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the client is.

    Attributes:
        attempts: Most times that one request is made.
        longest_wait: Most seconds between two attempts, whatever a server asks for.
        connect: Seconds that connecting may take.
        seconds: Seconds that a request may take, all attempts together, beside ``per_token``; one attempt at most half.
        per_token: Seconds more for each token that is asked for.
        dead_after: Requests that fail in a row until the server is given up.
        bytes: Most bytes of a reply, beside ``bytes_per_token``.
        bytes_per_token: Bytes more for each token that is asked for.
    """

    attempts: int = 5
    longest_wait: float = 60.0
    connect: float = 20.0
    seconds: float = 600.0
    per_token: float = 0.5
    dead_after: int = 8
    bytes: int = 1 << 20
    bytes_per_token: int = 1 << 10


LIMITS = Limits()
"""Of every client that is not given others."""


class UnansweredError(Exception):
    """There is no answer to one request; the text is a reason in one line."""


class RefusedError(UnansweredError):
    """The server takes no such request."""


class ServedClient:
    """Asks one endpoint for completions.

    Args:
        address: Where it is.
        concurrency: Most requests at a time.
        wait: Waits for so many seconds.
        limits: How patient to be; ``LIMITS`` when None.

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
    ) -> None:
        self.given_up: str | None = None
        self._address = address
        self._concurrency = concurrency
        self._wait = wait
        self._limits = limits or LIMITS
        self._key = key_for(address)
        self._verify = verification(address.url)
        self._where = f"the server at {address.url}"
        self._http: httpx2.AsyncClient | None = None
        self._failed = 0  # requests in a row
        self._not_before = 0.0  # a busy server's word, for all requests

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold connections open within."""
        import httpx2

        # what is encoded could grow without bound when it is read
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
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
            RefusedError: The server takes no such request.
            UnansweredError: It did not answer.
        """
        try:
            found = await self._attempts(json.dumps(body).encode(), tokens)  # ASCII: a lone surrogate is an escape
        except RefusedError:
            self._failed = 0
            raise
        except UnansweredError as error:
            self._failed += 1
            if self.given_up is None and self._failed >= self._limits.dead_after:
                self.given_up = f"given up after {self._failed} requests in a row: {error}"
            raise
        self._failed = 0
        return found

    async def _attempts(self, content: bytes, tokens: int) -> Completion:
        seconds = self._limits.seconds + tokens * self._limits.per_token
        end = time.monotonic() + seconds
        trouble = f"{self._where} is busy"
        made = 0
        for attempt in range(self._limits.attempts):
            if not await self._paused(attempt, end):
                break
            if self.given_up is not None:
                raise UnansweredError(self.given_up)
            made += 1
            found = await self._attempt(content, tokens, min(seconds / 2, end - time.monotonic()))
            if isinstance(found, Completion):
                return found
            trouble = found
        raise UnansweredError(f"{trouble} ({made} attempt{'' if made == 1 else 's'})")

    async def _paused(self, attempt: int, end: float) -> bool:
        """Wait as long as it is right before an attempt; whether there is time left for it."""
        pause = max(self._not_before - time.monotonic(), 0.0)
        if attempt:
            pause = max(pause, back_off(attempt, longest=self._limits.longest_wait))
        if time.monotonic() + pause >= end:
            return False
        if pause:
            await self._wait(pause)
        return True

    async def _attempt(self, content: bytes, tokens: int, seconds: float) -> Completion | str:
        """The completion, or what went wrong in passing.

        Raises:
            RefusedError: The server takes no such request.
            UnansweredError: Every request would end like this one.
        """
        import httpx2

        try:
            async with asyncio.timeout(seconds):
                status, reply = await self._post(content, tokens)
            if status == OK:
                return read_reply(reply, self._address.kind, tokens)
        except TimeoutError:
            return f"{self._where} did not answer in time"
        except ReplyError as error:
            return f"{self._where} answers with garbage: {error}"
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
            return f"{self._where} cannot be reached: {type(error).__name__}"
        trouble = f"{self._where} answers with status {status}{said(reply)}"
        if status in _REDIRECTED:
            self.given_up = f"{trouble}: it redirects; name the address that it redirects to"
        elif status in HOPELESS:
            self.given_up = trouble
        elif status in _BLAMED and status not in BUSY:
            raise RefusedError(trouble)
        if self.given_up is not None:
            raise UnansweredError(self.given_up)
        return trouble

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
                self._not_before = max(self._not_before, time.monotonic() + asked)
            reply = bytes(body)
            # a server may echo what it was sent
            return response.status_code, reply.replace(self._key.encode(), b"[key]") if self._key else reply
