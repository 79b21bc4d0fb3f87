"""What every client of an OpenAI-compatible server needs: how addresses are written, and how patient one is."""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    import ssl

OK: Final = 200

BUSY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may be answered later."""

AWAY: Final = frozenset({429, 502, 503, 504})
"""Those of a server, or of a gateway before it, that takes no requests for a while."""

BARRED: Final = frozenset({401, 403})
"""Statuses of a wrong key, and of a firewall that takes offence at a prompt."""

HOPELESS: Final = BARRED | {404}
"""Statuses that every request would get: the key, or the model's name, is wrong."""

HARMLESS: Final = "Hello"
"""A question that no firewall takes offence at."""

FORM: Final = "http://HOST:PORT/v1#MODEL"

_FIRST_WAIT: Final = 0.5  # seconds
_DOUBLINGS: Final = 32  # no float is large enough for a thousand
_MOST_BACKSLASHES: Final = 8  # before a character: one, and more where JSON stands in JSON
_BEGIN: Final = re.compile(r"(https?)(?::[/\\]{0,2}|[/\\]{1,2})(?=[^/\\])", re.IGNORECASE)  # http:/HOST, https//HOST
_AUTHORITY: Final = re.compile(r"(?:[\w+.-]*:?//)?([^/?#]*)")
_PLACE: Final = re.compile(
    r"(?P<host>localhost|\[[\da-f:.]+\]|[\w-]+(?:\.[\w-]+)*)(?P<port>:\d{1,5})?(?P<rest>[/?#].*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_QUERY: Final = re.compile(r"\?[^#]*")
# where the HTTP client logs; a filter of a logger is none of those below it
_LOGGERS: Final = ("httpx2", *(f"httpcore2.{each}" for each in ("connection", "http11", "http2", "proxy", "socks")))


@dataclass(frozen=True, slots=True)
class Address:
    """A URL and the model behind it, taken apart.

    Attributes:
        url: Base URL of the API, without a slash behind it.
        query: What stood behind the question mark.
        model: What the server calls the model.
    """

    url: str
    query: str
    model: str


def split_address(text: str, *, what: str, key: str) -> Address:
    """Read ``http://HOST:PORT/v1#MODEL``.

    Args:
        text: What the user wrote.
        what: Whose address it is, for messages.
        key: The environment variable that a key belongs into.

    Raises:
        UsageError: The text is not of that form, with the nearest one that is; or it holds a user name or password,
            and then the message does not.
    """
    text = text.strip()
    hint, shown = f"write {FORM}", without_query(text)
    authority = _AUTHORITY.match(_BEGIN.sub("", text, count=1))
    if authority is not None and "@" in authority[1]:
        raise UsageError(f"{what} holds no user name or password", hint=f"put the key into ${key}")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{shown!r} is not a URL: {error}", hint=hint) from None
    if parts.scheme not in {"http", "https"} or not host:
        begins = text.lower().startswith(("http://", "https://"))
        reason = "it names no host" if begins else "it begins with neither http:// nor https://"
        meant = _mended(shown)
        raise UsageError(
            f"{shown!r} is not the URL of an endpoint: {reason}",
            hint=hint if meant is None else f"did you mean {meant!r}? {hint}",
        )
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    if not parts.fragment.strip():
        listed = re.sub(r"/(chat/)?completions$", "", url) if parts.path.strip("/") else f"{url}/v1"
        raise UsageError(
            f"{shown!r} does not name the model behind a #",
            hint=f"{hint}; most servers list their models at {listed}/models",
        )
    return Address(url, parts.query, parts.fragment.strip())


def like_address(text: str) -> bool:
    """Whether a text that does not begin with ``http://`` or ``https://`` is meant as the address of a server.

    A model of the hub has a slash too, and a file a dot: without ``http`` it takes a port, a ``/v1`` or a ``#`` too.
    """
    if _BEGIN.match(text) or "://" in text:
        return True
    found = _PLACE.fullmatch(text)
    if found is None:
        return False
    host, port, rest = found["host"], found["port"], found["rest"] or ""
    a_host = "." in host or host.startswith("[") or host.lower() == "localhost"
    return (
        re.match(r"/v1(?![\w.-])", rest, re.ASCII) is not None
        or (port is not None and (a_host or bool(rest)))
        or ("#" in rest and a_host)
    )


def _mended(text: str) -> str | None:
    """The address that one without a scheme, or with a misspelt one, may be meant as; None where it may be none."""
    begin = _BEGIN.match(text)
    rest = text if begin is None else text[begin.end() :]
    if _PLACE.fullmatch(rest) is None:
        return None
    return f"{'http' if begin is None else begin[1].lower()}://{rest}"


def try_below(url: str) -> str:
    """What to say where a server does not know the place that is asked for; empty of an address that has a path.

    Args:
        url: The address without its model.
    """
    return "" if urlsplit(url).path.strip("/") else f"; its address has no path: most servers are asked at {url}/v1"


def without_query(address: str) -> str:
    """An address for messages: what stands behind its question mark may be a key."""
    return _QUERY.sub("?...", address)


def back_off(attempt: int, *, longest: float) -> float:
    """Seconds to wait before an attempt, counted from 1: twice as long each time."""
    return min(longest, _FIRST_WAIT * 2.0 ** min(attempt - 1, _DOUBLINGS))


def retry_after(header: str, *, longest: float) -> float:
    """Seconds that a server asks to wait, by ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date), within a limit.

    Args:
        header: The header's value; empty for none.
        longest: The limit.

    Returns:
        0 where nothing is asked, or nothing that can be read.
    """
    header = header.strip()
    if header.isascii() and header.isdecimal():
        return min(longest, float(header[:9]))
    with suppress(ValueError, TypeError, OverflowError):
        return min(longest, max(0.0, parsedate_to_datetime(header).timestamp() - time.time()))
    return 0.0


def without_key(text: str, key: str) -> str:
    """What a server says, without the key that it was sent: it may echo it, as it is or escaped as in JSON."""
    escapes = rf"\\{{0,{_MOST_BACKSLASHES}}}"
    spelled = (rf"{escapes}(?:{re.escape(each)}|u{ord(each):04x}|u{ord(each):04X})" for each in key)
    return re.sub("".join(spelled), "[key]", text) if key else text


@dataclass(frozen=True, slots=True)
class _WithoutKey:
    """Takes a key out of every message that a logger is given.

    Attributes:
        key: The key.
    """

    key: str

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the message, and let it pass."""
        record.msg, record.args = without_key(record.getMessage(), self.key), None
        return True


def authorization(key: str) -> dict[str, str]:
    """The header that carries a key. From here on the HTTP client logs no message with that key in it.

    It logs the status line of every reply, and at DEBUG its headers; a server may repeat the key in both.

    Args:
        key: The key; empty for none, and then there is no header.
    """
    if not key:
        return {}
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_WithoutKey(key))  # an equal one is not added again
    return {"Authorization": f"Bearer {key}"}


def verification(url: str) -> ssl.SSLContext | bool:
    """How a client verifies certificates; reading those of this machine takes longer than asking, so once a client."""
    import httpx2

    return httpx2.create_ssl_context() if url.startswith("https:") else False
