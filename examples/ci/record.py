"""Record what a served model answers to the prompts of slices, one JSON object a line.

    python record.py http://127.0.0.1:8000/v1 MODEL quant > int4.jsonl

Any server that speaks OpenAI's chat protocol will do. Its key, if it needs one, is read from $SERVED_MODEL_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pytest_quantgate import builtin_registry, load_slice

SECONDS = 600  # one answer may take

Reply = tuple[str, str | None, int | None]


def main() -> int:
    """Ask every case of every slice; a case without an answer has no line, and its gate will be INCONCLUSIVE."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of the API, up to and including /v1")
    parser.add_argument("model", help="what the server calls the model")
    parser.add_argument("slices", nargs="+", type=Path, help="slice files, or folders that hold some")
    parser.add_argument("--parallel", type=int, default=8, help="requests at a time. Default: 8")
    arguments = parser.parse_args()
    files = [file for path in arguments.slices for file in (sorted(path.rglob("*.slice.yaml")) or [path])]
    slices = [load_slice(file, builtin_registry()) for file in files]
    failed = 0
    with ThreadPoolExecutor(arguments.parallel) as pool:
        asked = [
            (slice_.name, case, pool.submit(converse, case, arguments.url, arguments.model))
            for slice_ in slices
            for case in slice_.cases
        ]
        for name, case, answering in asked:
            try:
                replies = answering.result()
            except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
                print(f"{name}::{case.id}: no answer: {error}", file=sys.stderr)
                failed += 1
                continue
            print(json.dumps({"slice": name, "id": case.id, **line_of(replies)}), flush=True)
    return 1 if failed else 0


def converse(case: Any, url: str, model: str) -> list[Reply]:
    """Every answer of a case: one, or one a turn, each behind the model's own answers before."""
    if case.answer_prefix:
        reason = "the chat protocol cannot begin the model's answer, which this case asks for"
        raise ValueError(reason)
    replies: list[Reply] = []
    while len(replies) <= len(case.later):
        turn = case.turn_after([text for text, _, _ in replies])
        replies.append(ask(turn, url, model))
    return replies


def ask(turn: Any, url: str, model: str) -> Reply:
    """One answer: greedy, at most as long as the case allows."""
    body = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in turn.messages],
        "max_tokens": turn.max_new_tokens,
        "temperature": 0,
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("SERVED_MODEL_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    request = Request(f"{url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)  # noqa: S310  (the same)
    try:
        with urlopen(request, timeout=SECONDS) as response:  # noqa: S310  (the address is the user's)
            reply = json.load(response)
    except HTTPError as error:
        with error:
            said = error.read(300).decode(errors="replace")
        raise OSError(f"HTTP {error.code}: {said!r}") from None
    choice = reply["choices"][0]
    ended = choice.get("finish_reason")
    return (
        choice["message"]["content"] or "",
        ended if ended in ("stop", "length") else None,
        (reply.get("usage") or {}).get("completion_tokens"),
    )


def line_of(replies: list[Reply]) -> dict[str, Any]:
    """The keys of recorded answers; what the server did not tell is left out."""
    texts, ended, tokens = (list(each) for each in zip(*replies, strict=True))
    several = len(replies) > 1
    line: dict[str, Any] = {"responses": texts} if several else {"response": texts[0]}
    for key, values in (("finish_reason", ended), ("tokens", tokens)):
        if None not in values:
            line[key] = values if several else values[0]
    return line


if __name__ == "__main__":
    sys.exit(main())
