"""A server that misbehaves as a test wants it to: it answers itself, or stands in front of a real one."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """What is sent.

    Attributes:
        content: The body, of which ``sent`` bytes are sent (None for all) before nothing more comes.
        status: The status.
        headers: Further headers.
        raw: Sent in place of a reply, as it is.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    raw: bytes | None = None


DROP = Reply(raw=b"")
"""The connection is closed without a word."""

STALL = Reply(sent=0)
"""The head of a reply comes, and then nothing."""


def chat(text: object = "fine", *, finish: object = "stop", prompt_tokens: int = 5, **choice: Any) -> Reply:
    """A chat completion."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 1}
    return of({"choices": [{"message": message, "finish_reason": finish, **choice}], "usage": usage})


def of(value: object, status: int = 200, **headers: str) -> Reply:
    """A reply in JSON."""
    return Reply(json.dumps(value).encode(), status, headers)


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        method: GET or POST.
        path: With the query.
        body: The JSON value; None without.
        key: The Authorization header.
        number: How many came before it with the same method.
        port: The client's: one for each connection.
    """

    method: str
    path: str
    body: Any
    key: str | None
    number: int
    port: int


Says = Callable[[Asked], Reply | None]


class FaultyServer:
    """Answers on loopback what a function says; what it says None to goes to the server behind it, or is not found.

    Args:
        says: What is answered. Unless it says more, ``GET`` is not found.
        behind: Base URL of a real server, ending in ``/v1``.
        stalled: Called when a reply has stopped in its middle.

    Attributes:
        asked: Every request, in order.
        most: Most requests that were answered at the same time.
    """

    def __init__(self, says: Says, behind: str | None = None, *, stalled: Callable[[], object] = lambda: None) -> None:
        self._stalled = stalled
        self.asked: list[Asked] = []
        self.most = 0
        self._now = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self, says, behind)

            def do_POST(self) -> None:
                server._answer(self, says, behind)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def bodies(self) -> list[Any]:
        """What was posted."""
        return [each.body for each in self.asked if each.method == "POST"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, says: Says, behind: str | None) -> None:
        content = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            method = str(handler.command)
            number = sum(each.method == method for each in self.asked)
            body = json.loads(content) if content else None
            port = handler.client_address[1]
            asked = Asked(method, handler.path, body, handler.headers["Authorization"], number, port)
            self.asked.append(asked)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            reply = says(asked) or (_from(behind, asked, content) if behind else Reply(status=404))
        finally:
            with self._lock:
                self._now -= 1
        self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        try:
            if reply.raw is not None:
                handler.wfile.write(reply.raw)
                handler.wfile.flush()
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.content) or int(reply.sent is not None)))
            handler.end_headers()
            handler.wfile.write(reply.content[: reply.sent])
            if reply.sent is not None:
                handler.wfile.flush()
                self._stalled()
                self._over.wait()
                handler.close_connection = True
        except OSError:  # the client has had enough
            handler.close_connection = True


def _from(behind: str, asked: Asked, content: bytes) -> Reply:
    """What the server behind says."""
    host = urlsplit(behind).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        headers = {"Content-Type": "application/json"} if content else {}
        connection.request(asked.method, asked.path, content or None, headers)
        found = connection.getresponse()
        return Reply(found.read(), found.status)
    finally:
        connection.close()


_TIMEOUT: Final = asyncio.timeout


class Patience:
    """Stands in for ``asyncio.timeout``: patience ends when a server has stalled, and not by a clock.

    Attributes:
        seconds: For how long it should have been patient, each time.
    """

    def __init__(self) -> None:
        self.seconds: list[float | None] = []
        self._waiting: list[asyncio.Timeout] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """What ``asyncio.timeout`` is replaced by."""
        self.seconds.append(seconds)
        self._loop = asyncio.get_running_loop()
        async with _TIMEOUT(None) as bound:
            self._waiting.append(bound)
            try:
                yield bound
            finally:
                self._waiting.remove(bound)

    def end(self) -> None:
        """End it for all who wait now; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for bound in self._waiting:
            if not bound.expired():
                bound.reschedule(0.0)
