"""An answer in pieces that can be laid beside each other: its tokens where they can be read, else its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tokenizers import Tokenizer

    from pytest_quantgate.generation.completion import Completion

MOST_WORDS: Final = 100_000
"""Words of an answer that are looked at."""

_WORD: Final = re.compile(r"\s*\S+|\s+\Z")
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_WORD_START: Final = "\N{LOWER ONE EIGHTH BLOCK}"


@dataclass(frozen=True, slots=True)
class Pieces:
    """One answer.

    Attributes:
        keys: What is compared: token ids or words.
        text: What stands at an index.
        margins: What the model preferred each piece by, in nats; as many as were recorded.
    """

    keys: Sequence[Hashable]
    text: Callable[[int], str]
    margins: Sequence[float] = ()

    def margin(self, index: int) -> float | None:
        """What the model preferred a piece by, in nats; None when that was not recorded."""
        return margin_at(self.margins, index)


def margin_at(margins: Sequence[float], index: int) -> float | None:
    """What the model preferred a token by, in nats; None when that was not recorded, or is no number."""
    found = margins[index] if index < len(margins) else None
    return found if found is not None and isfinite(found) else None


def tokens_of(completion: Completion, tokenizer: Tokenizer) -> Pieces | None:
    """The tokens of an answer; None when they are not known, or when this tokenizer does not make the answer of them.

    Args:
        completion: The answer; its token ids may be any numbers.
        tokenizer: The model's, as far as one knows.
    """
    ids = completion.token_ids
    size = tokenizer.get_vocab_size()
    if (not ids and completion.text) or not all(0 <= each < size for each in ids):
        return None
    text = _decoded(ids, tokenizer, skip_special_tokens=True)
    if text is None or _bare(text) != _bare(completion.text):
        return None
    return Pieces(ids, lambda index: _token(ids[index], tokenizer), completion.margins)


def words_of(completion: Completion) -> Pieces:
    """The words of an answer, each with the white space before it; at most ``MOST_WORDS``."""
    words = tuple(found.group() for found in islice(_WORD.finditer(completion.text), MOST_WORDS))
    return Pieces(words, words.__getitem__)


def _bare(text: str) -> str:
    """A text without white space: libraries do not agree on that between tokens."""
    return "".join(text.split())


def _decoded(ids: Sequence[int], tokenizer: Tokenizer, *, skip_special_tokens: bool) -> str | None:
    """The text of tokens; None when the tokenizer, whose file may hold anything, breaks down over them."""
    try:
        return tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  (a panic of its Rust code is no Exception)
        return None


def _token(token_id: int, tokenizer: Tokenizer) -> str:
    """A token as text; one that is a part of a character as the vocabulary writes it."""
    name = tokenizer.id_to_token(token_id) or f"<{token_id}>"
    text = _decoded([token_id], tokenizer, skip_special_tokens=False)
    if not text or _UNREADABLE in text:
        return name
    return f" {text}" if name.startswith(_WORD_START) and not text.startswith(" ") else text
