"""The address of a served model, ``http://HOST:PORT/v1?as=TEXT&concurrency=N#MODEL``, and the key for it.

``as`` is what the user states of the weights behind it; ``concurrency`` how many requests are made at a time. A path
that ends in ``/completions`` asks that endpoint, without a chat template; any other asks for chat completions.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from pytest_quantgate.endpoint import split_address, without_query
from pytest_quantgate.errors import SpecError, UsageError, nearest

KEY_VARIABLE: Final = "QUANTGATE_API_KEY"
"""Where keys come from, and the only place but one: ``HOST[:PORT]=KEY``, several separated by spaces.

Each is sent to its host and nowhere else, so that a changed address does not carry it away."""

OPENAI_VARIABLE: Final = "OPENAI_API_KEY"
"""Holds a key for ``_OPENAI``, as its own tools read it, and is sent nowhere else."""

_OPENAI: Final = "https://api.openai.com"

CONCURRENCY: Final = 16
"""Requests at a time, where the address does not say."""

MOST_CONCURRENT: Final = 1024

_KEYS: Final = ("as", "concurrency")
_LONGEST: Final = 200  # characters of what the user states
_CHAT: Final = "/chat/completions"
_COMPLETIONS: Final = "/completions"
_PLAIN: Final = re.compile(r"[!-~]+")

Kind = Literal["chat", "completions"]


@dataclass(frozen=True, slots=True)
class ServedAddress:
    """Where a model is served.

    Attributes:
        url: Base URL of the API, without a slash behind it.
        model: What the server calls the model.
        kind: Which of OpenAI's endpoints is asked.
        stated: What the user states of the weights; empty for nothing.
        concurrency: Most requests at a time; None where the address does not say.
    """

    url: str
    model: str
    kind: Kind = "chat"
    stated: str = ""
    concurrency: int | None = None

    def __str__(self) -> str:
        """The canonical text: equal for equal addresses, and parsed back to an equal one."""
        told = [f"as={quote(self.stated, safe='-._~:@/+')}"] if self.stated else []
        told += [f"concurrency={self.concurrency}"] if self.concurrency else []
        path = _COMPLETIONS if self.kind == "completions" else ""
        return f"{self.url}{path}{'?' if told else ''}{'&'.join(told)}#{self.model}"

    @property
    def root(self) -> str:
        """URL of the server, where it answers about itself."""
        return self.url.removesuffix("/v1")

    @property
    def asked(self) -> str:
        """URL that completions are asked of."""
        return f"{self.url}{_CHAT if self.kind == 'chat' else _COMPLETIONS}"


def parse_address(text: str) -> ServedAddress:
    """Read an address.

    Raises:
        SpecError: It is malformed, or holds a user name or password; then the message does not.
    """
    try:
        found = split_address(text, what="the address of a served model", key=KEY_VARIABLE)
    except UsageError as error:
        raise SpecError(error.what, hint=error.hint) from None
    where = f"variant {without_query(text)!r}"
    if not _PLAIN.fullmatch(found.url) or not found.model.isprintable() or any(map(str.isspace, found.model)):
        raise SpecError("holds a space or a character that an address cannot have", where=where)
    told = _query(found.query, where)
    parts = urlsplit(found.url)  # scheme and host are the same in any case
    url = f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"
    kind: Kind = "chat" if url.endswith(_CHAT) or not url.endswith(_COMPLETIONS) else "completions"
    url = url.removesuffix(_CHAT if kind == "chat" else _COMPLETIONS).rstrip("/")
    stated = told.get("as", "").strip()
    if len(stated) > _LONGEST or not stated.isprintable():
        raise SpecError(f"as= takes one line of at most {_LONGEST} characters", where=where)
    return ServedAddress(url, found.model, kind, stated, _concurrency(told.get("concurrency"), where))


def no_address(text: str) -> SpecError:
    """The error for a text that is meant as an address and is none, as ``endpoint.like_address`` finds it.

    Args:
        text: What the user wrote; it does not begin with ``http://`` or ``https://``.
    """
    try:
        parse_address(text)
    except SpecError as error:
        return error
    shown = without_query(text)
    begin, _, rest = shown.partition("://")
    return SpecError(
        f"{shown!r} is not an address: http and https are written in small letters",
        hint=f"did you mean {f'{begin.lower()}://{rest}'!r}?",
    )


def _query(query: str, where: str) -> dict[str, str]:
    """What the address says behind the question mark."""
    told: dict[str, str] = {}
    # a plus is a plus: models are called so, and spaces are written %20
    for key, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        if key not in _KEYS:
            hint = f"{nearest(key, _KEYS)}; a key belongs into ${KEY_VARIABLE}"
            raise SpecError("asks for something that no address has", where=where, hint=hint)
        if key in told or not value.strip():
            raise SpecError(f"{key}= is given twice, or empty", where=where)
        told[key] = value
    return told


def _concurrency(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII) or int(text) > MOST_CONCURRENT:
        raise SpecError(f"concurrency= takes a number from 1 to {MOST_CONCURRENT}", where=where)
    return int(text)


def key_for(address: ServedAddress) -> str:
    """The key that the environment has for a server; empty for none.

    Raises:
        SpecError: The variable names no host for a key, or a key cannot be sent; the message holds no key.
    """
    parts = urlsplit(address.url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    keys: dict[str, str] = {}
    for entry in os.environ.get(KEY_VARIABLE, "").split():
        name, equals, key = entry.partition("=")
        if not equals or not name:
            raise SpecError(
                f"${KEY_VARIABLE} does not say which host a key is for",
                where=f"variant {str(address)!r}",
                hint=f"write {KEY_VARIABLE}=HOST=KEY or HOST:PORT=KEY, several separated by spaces",
            )
        keys[name.lower()] = key
    if f"{parts.scheme}://{host}" == _OPENAI:
        keys.setdefault(host, os.environ.get(OPENAI_VARIABLE, "").strip())
    key = keys.get(f"{host}:{port}") or keys.get(host) or ""
    if key and not _PLAIN.fullmatch(key):
        raise SpecError("its key holds characters that no header takes", where=f"variant {str(address)!r}")
    return key
