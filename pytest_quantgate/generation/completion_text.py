"""A completion as the text that a cache keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from math import isfinite, nan
from typing import Any, cast, get_args

from pytest_quantgate.checks.model import Recall
from pytest_quantgate.generation.completion import Completion, FinishReason


def encode(completion: Completion) -> str:
    """A completion as one line of JSON."""
    payload: dict[str, Any] = {
        "text": completion.text,
        "token_ids": completion.token_ids,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "margins": _finite(completion.margins),
        "problem": completion.problem,
    }
    if completion.counted is not None:  # of a server's answer, and as for recall
        payload["counted"] = completion.counted
    if completion.recall:  # few requests ask for it; entries without it read as they always did
        payload["recall"] = [
            asdict(each) | {"log_probabilities": _finite(each.log_probabilities)} for each in completion.recall
        ]
    return json.dumps(payload, sort_keys=True, separators=(",", ":"))


def decode(payload: str) -> Completion | None:
    """The completion of a stored payload; None when it has another shape (written by another version)."""
    try:
        value = json.loads(payload)
        if value["finish_reason"] not in get_args(FinishReason):
            return None
        return Completion(
            text=str(value["text"]),
            token_ids=tuple(int(token) for token in value["token_ids"]),
            finish_reason=cast("FinishReason", value["finish_reason"]),
            prompt_tokens=int(value["prompt_tokens"]),
            margins=_numbers(value["margins"]),
            problem=None if value["problem"] is None else str(value["problem"]),
            recall=tuple(_recall(each) for each in value.get("recall", ())),
            counted=int(value["counted"]) if "counted" in value else None,
        )
    except (ValueError, KeyError, TypeError):
        return None


def _recall(value: dict[str, Any]) -> Recall:
    return Recall(
        text=str(value["text"]),
        token_ids=tuple(int(token) for token in value["token_ids"]),
        ranks=tuple(int(rank) for rank in value["ranks"]),
        ties=tuple(int(ties) for ties in value["ties"]),
        log_probabilities=_numbers(value["log_probabilities"]),
        problem=None if value["problem"] is None else str(value["problem"]),
    )


def _finite(numbers: Iterable[float]) -> list[float | None]:
    """Numbers as JSON has them: null stands for an infinite one, such as the margin of the only possible token."""
    return [each if isfinite(each) else None for each in numbers]


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """The same numbers read back; null is no number, as in reports."""
    return tuple(nan if each is None else float(each) for each in values)
