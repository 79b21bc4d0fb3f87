"""OpenAI's two endpoints for text: what a request says, and what a reply means. Replies are untrusted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from pytest_quantgate.checks.finding import one_line
from pytest_quantgate.endpoint import without_key
from pytest_quantgate.generation.completion import Completion, FinishReason, Request
from pytest_quantgate.variants.address import Kind

CONTINUE: Final = {"continue_final_message": True, "add_generation_prompt": False}
"""Asks a server to go on with the last message; vLLM and SGLang know both fields, others go on unasked or never."""

SEED: Final = 0

_TOP: Final = 2  # the token and its runner-up
_MOST_TOKENS: Final = 1 << 31
_QUOTED: Final = 160  # characters of what a server says
_MARGIN_DIGITS: Final = 4
_ENDED: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
}
_TAKEN: Final = {
    "tool_calls": "the server took tool calls out of the answer; start it without a parser for them",
    "function_call": "the server took tool calls out of the answer; start it without a parser for them",
    "content_filter": "a content filter of the server cut the answer",
}


class ReplyError(Exception):
    """A reply that is no completion; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which fields a server takes; all of them until it refuses one.

    Attributes:
        limit: The field for the longest answer.
        probabilities: Whether probabilities of tokens may be asked for.
        seed: Whether a seed may be given; greedy decoding needs none.
    """

    limit: str = "max_tokens"
    probabilities: bool = True
    seed: bool = True


def dialects(kind: Kind) -> Iterator[Dialect]:
    """All dialects, the richest first."""
    for limit in ("max_tokens", "max_completion_tokens") if kind == "chat" else ("max_tokens",):
        for probabilities, seed in ((True, True), (False, True), (True, False), (False, False)):
            yield Dialect(limit, probabilities, seed)


def body_of(request: Request, model: str, kind: Kind, dialect: Dialect, *, further: bool = True) -> dict[str, Any]:
    """What is sent for a request: greedy decoding, one answer, at most as long as the request allows.

    Args:
        request: What is asked.
        model: What the server calls the model.
        kind: Which endpoint is asked. Text completions get the messages' contents, joined by blank lines.
        dialect: Which fields the server takes.
        further: Whether an answer that was begun needs ``CONTINUE``.
    """
    body: dict[str, Any] = {"model": model, "temperature": 0, dialect.limit: request.max_new_tokens}
    if dialect.seed:
        body["seed"] = SEED
    if kind == "completions":
        body["prompt"] = request.paragraphs
        return body | ({"logprobs": _TOP} if dialect.probabilities else {})
    chat = [{"role": message.role, "content": message.content} for message in request.messages]
    if request.answer_prefix:
        chat.append({"role": "assistant", "content": request.answer_prefix})
        body |= CONTINUE if further else {}
    return body | {"messages": chat} | ({"logprobs": True, "top_logprobs": _TOP} if dialect.probabilities else {})


def read_reply(content: bytes, kind: Kind, most: int, key: str = "") -> Completion:
    """The completion in a reply.

    Args:
        content: The reply's body.
        kind: Which endpoint gave it.
        most: Most tokens that were asked for.
        key: What must not come back in it.

    Raises:
        ReplyError: There is none.
    """
    value = _json(content)
    choices = value.get("choices") if isinstance(value, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(value, dict) or not isinstance(choice, dict):
        raise ReplyError("the reply is no completion")
    text, problem = _text(choice, kind)
    ended = choice.get("finish_reason")
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    counted = _count(usage.get("completion_tokens"))
    if isinstance(ended, str) and ended in _TAKEN:
        problem = _TAKEN[ended]
    if counted is not None and counted > most:
        problem = f"the server answered with {counted} tokens where {most} were asked for"
    return Completion(
        text="" if problem else without_key(text, key),
        token_ids=(),
        finish_reason=_ENDED.get(ended, "unknown") if isinstance(ended, str) else "unknown",
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        margins=() if problem else tuple(_margins(choice.get("logprobs"), kind)),
        problem=problem,
        counted=counted,
    )


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ReplyError("the reply is not JSON") from None


def _text(choice: dict[str, Any], kind: Kind) -> tuple[str, str | None]:
    """The answer, and why it is none.

    Raises:
        ReplyError: The choice has another shape.
    """
    if kind == "completions":
        text = choice.get("text")
    else:
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ReplyError("the reply is no chat completion")
        if message.get("tool_calls"):
            return "", _TAKEN["tool_calls"]
        text = message.get("content")
        if text is None:  # refused, or nothing but thinking until the limit
            text = message.get("refusal") or ""
    if not isinstance(text, str):
        raise ReplyError("the reply has no text")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _margins(value: object, kind: Kind) -> Sequence[float]:
    """How much more probable each token was than the runner-up, in nats; nothing where one of them is not told."""
    try:
        pairs = list(_chat_pairs(value) if kind == "chat" else _text_pairs(value))
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return ()
    found = [round(own - max(others), _MARGIN_DIGITS) for own, others in pairs if others]
    return found if len(found) == len(pairs) and all(map(isfinite, found)) else ()


def _chat_pairs(value: Any) -> Iterator[tuple[float, list[float]]]:
    """The log-probability of each token, and those of the others that are told."""
    for each in value["content"] if value else ():
        others = [float(other["logprob"]) for other in each["top_logprobs"] if other["token"] != each["token"]]
        yield float(each["logprob"]), others


def _text_pairs(value: Any) -> Iterator[tuple[float, list[float]]]:
    if not value:
        return
    for token, own, top in zip(value["tokens"], value["token_logprobs"], value["top_logprobs"], strict=True):
        yield float(own), [float(other) for name, other in top.items() if name != token]


def said(content: bytes, key: str = "") -> str:
    """What a server says of an error, in one line and without the key; empty where it says nothing that can be read."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    for name in ("error", "message", "detail"):  # OpenAI nests the second in the first
        if isinstance(value, dict) and name in value:
            value = value[name]
    return f": {one_line(without_key(value.strip(), key), _QUOTED)}" if isinstance(value, str) and value.strip() else ""
