"""Answers that may end as soon as each of their checks is decided.

A check is asked about a beginning of the answer that no later token can change. What it foretells holds for every
answer that begins so, so a stopped answer is graded as the whole one would have been, check by check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import CheckSpec
from pytest_quantgate.checks.loose import LONGEST
from pytest_quantgate.generation.decoded import text_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.generation.completion import Completion, Request

EVERY: Final = 4
"""Tokens between two looks at an answer."""

HELD_BACK: Final = 8
"""Characters at an answer's end that the next tokens may still change.

An unfinished character is up to three replacement characters, and tokenizers that clean up take a space away before a
full stop or ``n't``.
"""

KEPT: Final = 4096
"""Checks that are kept as they were read."""

_ONE_BYTE: Final = re.compile("<0x[0-9A-F]{2}>")


def beginning(text: str) -> str:
    """The part of an unfinished answer's text that no later token changes."""
    return text[:-HELD_BACK]


def is_decided(until: Sequence[str], text: str, registry: CheckRegistry | None) -> bool:
    """Whether every check is decided by an unfinished answer.

    Args:
        until: Canonical texts of the checks; a whole answer, with none, is never decided early.
        text: The answer's text so far.
        registry: The checks by name; the built-in ones when None.
    """
    so_far = beginning(text)
    known = registry or _builtin()
    return bool(until) and all(known.foretell(_spec(check), so_far) is not None for check in until)


def kept_for(
    wanted: Mapping[str, Request],
    stored: Callable[[Iterable[str]], Mapping[str, Completion]],
    registry: CheckRegistry | None = None,
) -> dict[str, Completion]:
    """The kept answers to some requests, by digest.

    The whole answer is taken where it is there, and else a stopped one that today's checks would stop, too.

    Args:
        wanted: What is asked, by digest.
        stored: Gives those of some request digests that are kept.
        registry: Today's checks by name; the built-in ones when None.
    """
    whole = {digest: request.whole.digest if request.until else digest for digest, request in wanted.items()}
    found = stored(dict.fromkeys([*whole.values(), *wanted]))
    known: dict[str, Completion] = {}
    for digest, request in wanted.items():
        kept = found.get(whole[digest]) or found.get(digest)
        if kept is not None and (kept.finish_reason != "decided" or is_decided(request.until, kept.text, registry)):
            known[digest] = kept
    return known


def closing_tokens(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens behind which everything but the last characters of a text is certain.

    Tokens of one byte (``<0xE2>``) are read in runs: one that makes a run invalid turns all of it into replacement
    characters. Special tokens are left out of the text, so a run goes on behind them.

    Args:
        tokenizer: The model's.
    """
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    plain = {number for text, number in tokenizer.get_vocab().items() if not _ONE_BYTE.fullmatch(text)}
    return frozenset(plain - special - set(tokenizer.all_special_ids))


class Early:
    """Says when an answer in the making may end.

    Args:
        requests: What is asked.
        tokenizer: The model's.
        registry: The checks by name; the built-in ones when None.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        tokenizer: PreTrainedTokenizerBase,
        registry: CheckRegistry | None,
    ) -> None:
        # some graders do not score answers beyond a length: one that could come to it is never decided
        longest = max(map(len, tokenizer.get_vocab()), default=0)
        self._until = {
            request.digest: request.until
            for request in requests
            if request.until and request.max_new_tokens * longest <= LONGEST
        }
        self._closing = closing_tokens(tokenizer)
        self._tokenizer = tokenizer
        self._registry = registry
        self._before: dict[str, tuple[str, int]] = {}

    def __call__(self, digest: str, token_ids: Sequence[int]) -> bool:
        """Whether the answer to a request may end with these tokens; asked after each of them.

        Args:
            digest: Of the request.
            token_ids: The answer so far.
        """
        until = self._until.get(digest)
        if until is None or len(token_ids) % EVERY or token_ids[-1] not in self._closing:
            return False
        text = text_of(self._tokenizer, token_ids)
        before, seen = self._before.get(digest, ("", 0))
        if len(token_ids) <= seen:  # memory ran out, and the answer is made anew
            before = ""
        if not text.startswith(before):  # its tokenizer writes the past anew: nothing of it is certain
            del self._until[digest]
            return False
        self._before[digest] = (beginning(text), len(token_ids))
        return is_decided(until, text, self._registry)


@cache
def _builtin() -> CheckRegistry:
    from pytest_quantgate.checks.builtin import builtin_registry

    return builtin_registry()


@lru_cache(KEPT)
def _spec(canonical: str) -> CheckSpec:
    name, arguments = json.loads(canonical)
    return CheckSpec(name, arguments)
