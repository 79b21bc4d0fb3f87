"""Asks a model behind an OpenAI-compatible endpoint; every way in which that can go wrong is one error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.endpoint import (
    BARRED,
    BUSY,
    FORM,
    HARMLESS,
    HOPELESS,
    OK,
    authorization,
    back_off,
    retry_after,
    split_address,
    try_below,
    verification,
    without_key,
    without_query,
)
from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    import ssl

    import httpx2

KEY_VARIABLE: Final = "QUANTGATE_JUDGE_API_KEY"
"""Where the key comes from, and the only place: it is in no option, log, cache or report."""

ATTEMPTS: Final = 4
SECONDS: Final = 60.0  # one attempt may take
MOST_BYTES: Final = 1 << 20  # of a reply
MOST_TOKENS: Final = 256  # of a verdict
_LONGEST_WAIT: Final = 20.0  # seconds, whatever a server asks for
_HELLO: Final = ({"role": "user", "content": HARMLESS},)


@dataclass(frozen=True, slots=True)
class JudgeEndpoint:
    """Where a judge is served.

    Attributes:
        url: Base URL of the API, up to and including ``/v1``, without a slash behind it.
        model: What the server calls the model.
    """

    url: str
    model: str

    @classmethod
    def parse(cls, text: str) -> JudgeEndpoint:
        """Read ``http://HOST:PORT/v1#MODEL``.

        Raises:
            UsageError: The text is not of that form, or holds a user name or password.
        """
        found = split_address(text, what="a judge's URL", key=KEY_VARIABLE)
        if found.query:
            raise UsageError(
                f"{without_query(text)!r} is not the URL of an endpoint: a judge's has nothing behind a question mark",
                hint=f"write {FORM}",
            )
        return cls(found.url, found.model)


class JudgeError(Exception):
    """The judge could not be asked; the text is a reason in one line."""


class Judge:
    """Asks one endpoint; safe to use from several threads.

    A server that is busy is asked again, later each time. One that cannot be reached at all, or refuses the key or the
    model, is not asked again in this process: every further case would wait as long for the same. A refusal that a
    harmless question does not get is of a firewall, and of that one case.

    Args:
        endpoint: Where it is served.
        wait: Waits for so many seconds between two attempts.
    """

    def __init__(self, endpoint: JudgeEndpoint, wait: Callable[[float], object] = time.sleep) -> None:
        self.endpoint = endpoint
        self._wait = wait
        self._verify: ssl.SSLContext | bool | None = None
        self._given_up: str | None = None
        self._lock = threading.Lock()

    def ask(self, system: str, user: str) -> str:
        """The judge's reply, by greedy decoding.

        Raises:
            JudgeError: There is none.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        status, content, cause = self._attempts(messages, MOST_TOKENS)
        if status == OK:
            return without_key(_reply(content), _key())
        where = f"the judge at {self.endpoint.url}"
        trouble = f"{where} cannot be reached: {cause}" if status is None else f"{where} answers with status {status}"
        barred = status in BARRED and self._attempts(_HELLO, 1)[0] in BARRED
        if status in HOPELESS - BARRED:
            trouble += try_below(self.endpoint.url)
        if status is None or barred or status in HOPELESS - BARRED:
            self._given_up = trouble
        raise JudgeError(trouble)

    def _attempts(self, messages: Sequence[Mapping[str, str]], tokens: int) -> tuple[int | None, bytes, str]:
        """The last status and content after as many attempts as it takes; no status where there is none, and the cause.

        Raises:
            JudgeError: The judge was given up, or its reply has no end.
        """
        import httpx2

        body = {"model": self.endpoint.model, "messages": messages, "temperature": 0, "max_tokens": tokens}
        status: int | None = None
        pause, content, cause = 0.0, b"", ""
        for attempt in range(ATTEMPTS):
            if self._given_up is not None:
                raise JudgeError(self._given_up)
            if attempt:
                self._wait(max(pause, back_off(attempt, longest=_LONGEST_WAIT)))
            try:
                with self._client() as client:
                    status, pause, content = self._post(client, body)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                status, pause, content, cause = None, 0.0, b"", type(error).__name__
                continue
            if status not in BUSY:
                break
        return status, content, cause

    def _post(self, client: httpx2.Client, body: Mapping[str, Any]) -> tuple[int, float, bytes]:
        """Status, seconds that the server asks to wait, and the content.

        Raises:
            JudgeError: The content does not end within reason.
        """
        end = time.monotonic() + SECONDS  # the client's own limit is for each piece of the reply
        with client.stream("POST", f"{self.endpoint.url}/chat/completions", json=body) as response:
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    msg = f"the judge's reply is longer than {MOST_BYTES:,} bytes"
                    raise JudgeError(msg)
                if time.monotonic() > end:
                    raise TimeoutError
            pause = retry_after(response.headers.get("retry-after", ""), longest=_LONGEST_WAIT)
            return response.status_code, pause, content

    def _client(self) -> httpx2.Client:
        """A client for one question: what it holds open is closed with it, and verdicts take seconds anyway."""
        import httpx2

        with self._lock:
            if self._verify is None:
                self._verify = verification(self.endpoint.url)
        headers = authorization(_key())
        return httpx2.Client(timeout=SECONDS, follow_redirects=False, headers=headers, verify=self._verify)


def _key() -> str:
    """The key; empty for none."""
    return os.environ.get(KEY_VARIABLE, "").strip()


def _reply(content: bytes) -> str:
    """The text of a chat completion.

    Raises:
        JudgeError: The content is none.
    """
    import json

    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        msg = "the judge's reply is no chat completion"
        raise JudgeError(msg)
    return text
