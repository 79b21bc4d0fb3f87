"""What a server tells of the model that it serves. Nothing of it is believed further than to tell variants apart.

Servers answer about themselves in different places, all read here: ``/v1/models`` (all of them), ``/version`` (vLLM),
``/props`` (llama.cpp), ``/info`` (TGI), ``/server_info`` (SGLang; ``/get_server_info`` before).

Behind one address there may be several servers, which take turns by request or by connection. So a place that tells
something is asked until it has told the same some times in a row, each time over a connection of its own. One server
that is restarted, or loads its model late, tells something else once; what comes back after that is told by several.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.checks.finding import one_line
from pytest_quantgate.endpoint import BARRED, BUSY, OK, authorization, back_off, retry_after, verification, without_key
from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.address import KEY_VARIABLE, ServedAddress, key_for

if TYPE_CHECKING:
    import httpx2

TIMES: Final = 4
"""Times in a row that a place must tell the same; as many servers at most are found out for certain."""

ATTEMPTS: Final = 3
SECONDS: Final = 15.0  # one attempt may take
MOST_BYTES: Final = 1 << 22  # of a reply; a gateway may list thousands of models
_LONGEST: Final = 200  # characters of a fact
_NOTHING: Final = "nothing"  # is told
_LONGEST_WAIT: Final = 5.0
_OF_ONE: Final = 2  # values that one server tells of a fact while it is asked: it may be restarted
_PASSING: Final = BUSY - {500}  # `transformers serve` lists its models so, where it has downloaded none
_COMMIT: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")

# the server that answers at a path, and the names under which it tells what the identity needs
_PLACES: Final[tuple[tuple[str, str, Mapping[str, str]], ...]] = (
    ("/version", "vLLM", {"version": "version"}),
    ("/props", "llama.cpp", {"build_info": "version", "model_path": "model_path", "chat_template": "chat_template"}),
    (
        "/info",
        "TGI",
        {
            "model_id": "model_path",
            "model_sha": "revision",
            "model_dtype": "dtype",
            "quantize": "quantization",
            "version": "version",
            "sha": "build",
        },
    ),
    *(
        (
            path,
            "SGLang",
            {
                "model_path": "model_path",
                "revision": "revision",
                "quantization": "quantization",
                "dtype": "dtype",
                "kv_cache_dtype": "kv_cache_dtype",
                "version": "version",
            },
        )
        for path in ("/server_info", "/get_server_info")
    ),
)
# what an entry of /v1/models may hold beside the name; its `created` is the time of asking on some servers
_OF_MODEL: Final = {"owned_by": "owned_by", "root": "root", "parent": "parent", "max_model_len": "context"}
_OF_META: Final = {"n_params": "weights", "size": "bytes", "n_vocab": "vocabulary"}  # llama.cpp


class MixedServersError(ModelError):
    """Servers that are not alike answer at one address."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server told.

    Attributes:
        told: By name, sorted.
        first: The same as it was told when each place was first asked; it may have changed meanwhile.
        whole: It was asked everything, and either told or had nothing to tell.
    """

    told: Mapping[str, str]
    first: Mapping[str, str]
    whole: bool


def ask(address: ServedAddress) -> Facts:
    """Ask a server what it serves.

    Args:
        address: Where it is.

    Raises:
        SpecError: The environment's keys are malformed.
        MixedServersError: It tells something else from one question to the next, and then what it told before.
        ModelError: It cannot be reached, answers nothing but errors, or refuses the key.
    """
    key = key_for(address)
    where = f"variant {str(address)!r}"
    with _client(address, key, where) as client:
        asking = _Asking(client, where)
        status, first, told = asking.told(f"{address.url}/models", partial(_of_model, model=address.model, key=key))
        if status in BARRED:
            hint = f"put its key into ${KEY_VARIABLE} as HOST=KEY" if not key else f"look at the key in ${KEY_VARIABLE}"
            raise ModelError(f"the server refuses the key with status {status}", where=where, hint=hint)
        if status is None or status in _PASSING:
            hint = "start it, or look at the address; what was answered before is kept"
            raise ModelError(f"the server cannot be reached: {asking.trouble}", where=where, hint=hint)
        for path, server, names in _PLACES:
            _, early, found = asking.told(f"{address.root}{path}", partial(_facts, names=names, key=key))
            if "version" in found:
                first |= early | {"server": server}
                told |= found | {"server": server}
            if "version" in found or not asking.whole:
                break
    return Facts(_plain(told), _plain(first), asking.whole)


def _plain(facts: Mapping[str, str]) -> dict[str, str]:
    """What of some facts goes into an identity, sorted."""
    told = dict(facts)
    if "revision" not in told and (commit := _COMMIT.search(told.get("root", told.get("model_path", "")))):
        told["revision"] = commit[0]
    if not _COMMIT.fullmatch(told.get("revision", "")):
        told.pop("revision", None)  # a branch moves
    for name in ("root", "model_path"):
        if name in told and told[name].startswith("/"):  # folders of the machine that serves are nobody's business
            told[name] = told[name].rstrip("/").rpartition("/")[2]
    return dict(sorted(told.items()))


def _client(address: ServedAddress, key: str, where: str) -> httpx2.Client:
    import httpx2

    headers = {"Accept-Encoding": "identity", "Connection": "close", **authorization(key)}
    try:
        verify = verification(address.url)
        return httpx2.Client(headers=headers, timeout=SECONDS, follow_redirects=False, verify=verify)
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:  # whose text may hold a proxy's password
        raise ModelError(
            f"the proxies or certificates that the environment names cannot be used: {type(error).__name__}",
            where=where,
            hint="look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE",
        ) from None


def differing(names: Iterable[str], one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Which of some facts are not the same, with what was told of each first and then."""
    found = sorted(name for name in names if one.get(name) != other.get(name))
    return ", ".join(f"{name} ({one.get(name, _NOTHING)}, then {other.get(name, _NOTHING)})" for name in found)


def mixed(facts: str, where: str) -> MixedServersError:
    """The error, with what ``differing`` says."""
    return MixedServersError(
        f"several servers that are not alike take turns at this address: {facts}",
        where=where,
        hint="name one of them, or let all of them serve the same; nothing that they answered is kept",
    )


class _Asking:
    """Asks one place of a server after the other.

    Args:
        client: The client.
        where: Who is asked, for errors.

    Attributes:
        whole: No place was unreachable or busy.
        trouble: Why the last one could not be asked.
    """

    def __init__(self, client: httpx2.Client, where: str) -> None:
        self._client = client
        self._where = where
        self.whole = True
        self.trouble = ""

    def told(
        self, url: str, read: Callable[[Any], Iterator[tuple[str, str]]]
    ) -> tuple[int | None, dict[str, str], dict[str, str]]:
        """Status of a place, and the facts that it told first and last.

        Args:
            url: The place.
            read: Finds facts in what it answers.

        Raises:
            MixedServersError: It tells something else when it is asked again, and then what it told before.
        """
        status, value = self._get(url)
        looks = [dict(read(value))]
        while looks[0] and looks[-TIMES:] != [looks[-1]] * TIMES:
            again, value = self._get(url)
            if again != OK:  # which says nothing of who answers
                break
            looks.append(dict(read(value)))
            if names := _alternating(looks):
                other = next(look for look in looks if any(look.get(name) != looks[0].get(name) for name in names))
                raise mixed(differing(names, looks[0], other), self._where)
        return status, looks[0], looks[-1]

    def _get(self, url: str) -> tuple[int | None, Any]:
        """Status, None for none, and the JSON value that a place answers with; None for anything else."""
        import httpx2

        status, pause = None, 0.0
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(max(pause, back_off(attempt, longest=_LONGEST_WAIT)))
            try:
                status, pause, content = self._once(url)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                status, pause, self.trouble = None, 0.0, type(error).__name__
                continue
            self.trouble = f"status {status}"
            if status not in _PASSING:
                return status, _json(content) if status == OK else None
        self.whole = False
        return status, None

    def _once(self, url: str) -> tuple[int, float, bytes]:
        end = time.monotonic() + SECONDS
        with self._client.stream("GET", url) as response:
            content = b""
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > MOST_BYTES or time.monotonic() > end:
                    raise TimeoutError
            pause = retry_after(response.headers.get("retry-after", ""), longest=_LONGEST_WAIT)
            return response.status_code, pause, content


def _alternating(looks: Sequence[Mapping[str, str]]) -> set[str]:
    """The facts of which one server alone does not tell what was told, one look after another."""
    found = set()
    for name in set[str]().union(*looks):
        values = [value for value, _ in groupby(look.get(name) for look in looks)]
        if len(values) > len(set(values)) or len({*values} - {None}) > _OF_ONE:
            found.add(name)
    return found


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _of_model(value: Any, *, model: str, key: str) -> Iterator[tuple[str, str]]:
    """The facts in the entry of a list of models."""
    entries = value.get("data") if isinstance(value, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            yield from _facts(entry, names=_OF_MODEL, key=key)
            yield from _facts(entry.get("meta"), names=_OF_META, key=key)
            return


def _facts(value: Any, *, names: Mapping[str, str], key: str) -> Iterator[tuple[str, str]]:
    """What a value tells under some names; the key that a server echoes is no fact."""
    if not isinstance(value, dict):
        return
    for field, name in names.items():
        found = value.get(field, "")
        if found is None and name == "quantization":
            found = "none"  # told, and none
        if field == "chat_template" and isinstance(found, str) and found:
            found = hashlib.sha256(found.encode("utf-8", "backslashreplace")).hexdigest()
        if isinstance(found, str | int | float) and (text := one_line(without_key(str(found).strip(), key), _LONGEST)):
            yield name, text
