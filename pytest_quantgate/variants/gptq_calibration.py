"""The text that GPTQ is calibrated with: Python's own reference manual, which every CPython carries.

It is real text by people, prose and code, under a licence that allows it (PSF-2.0), it is there without a download,
and no gate asks it: calibrating on the prompts that a candidate is judged by would flatter it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import cycle, pairwise
from math import ceil
from typing import Final

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.errors import ModelError

SOURCE: Final = "the Python reference manual (pydoc_data.topics of this Python, PSF-2.0)"
"""What reports say of it."""

SEQUENCES: Final = 128
"""Most pieces of text that a model reads, as in the paper's section 4."""

TOKENS_PER_INPUT: Final = 16
"""Tokens that are enough for each input of the widest layer; the paper's largest model had 5."""

LENGTH: Final = 512
"""Tokens of each, where the model's context is not shorter."""

_MODULE: Final = "pydoc_data.topics"
_PASSAGE: Final = 1200  # characters; a question holds one, its answer the next
_MOST_PAIRS: Final = 64  # of a sequence: some templates leave out what was said before

Message = Mapping[str, str]
Encode = Callable[[Sequence[Message]], Sequence[int]]
"""The tokens of a chat, as the model's template writes it."""


def sequences(encode: Encode, length: int, count: int) -> list[list[int]]:
    """Token sequences of one length, each beginning as a chat of the model does.

    A chat asks to go on with a passage and is answered by the one that follows, then by further pairs, until it is long
    enough; what is too much is cut off.

    Args:
        encode: The tokens of a chat.
        length: Tokens of each sequence.
        count: How many.

    Raises:
        ModelError: This Python comes without its manual, or the template leaves out what it is given.
    """
    found: list[list[int]] = []
    pairs = cycle(_pairs())
    for _ in range(count):
        chat: list[Message] = []
        tokens: Sequence[int] = ()
        while len(tokens) < length:
            if len(chat) >= 2 * _MOST_PAIRS:
                raise ModelError(
                    f"its chat template makes {len(tokens)} tokens of a long chat, where {length} are needed to "
                    "calibrate GPTQ",
                    hint="use rtn:, nf4 or quanto:, which need no calibration, or a checkpoint made elsewhere "
                    "(stored@FOLDER)",
                )
            question, answer = next(pairs)
            chat += [
                {"role": "user", "content": f"Go on with this text:\n\n{question}"},
                {"role": "assistant", "content": answer},
            ]
            tokens = encode(chat)
        found.append(list(tokens[:length]))
    return found


def sequences_for(widest: int, length: int) -> int:
    """How many sequences a model reads: small ones need fewer.

    Args:
        widest: Inputs of its widest layer.
        length: Tokens of a sequence.
    """
    return max(1, min(SEQUENCES, ceil(TOKENS_PER_INPUT * widest / length)))


def digest() -> str:
    """SHA-256 (hex) of all that the calibration reads, and how much of it.

    Raises:
        ModelError: This Python comes without its manual.
    """
    return digest_of([SEQUENCES, LENGTH, TOKENS_PER_INPUT, [list(pair) for pair in _pairs()]])


@cache
def _pairs() -> tuple[tuple[str, str], ...]:
    """Passages with those that follow them, mixed, so that few sequences too read of everything."""
    try:
        texts = [str(text) for text in import_module(_MODULE).topics.values()]
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the text that GPTQ is calibrated with is not there: this Python comes without {_MODULE}",
            hint="use a CPython with its whole standard library, or a checkpoint made elsewhere (stored@FOLDER)",
        ) from error
    cut = [list(_cut(text)) for text in texts]
    pairs = {pair for passages in cut for pair in pairwise(passages)}
    return tuple(sorted(pairs, key=digest_of))


def _cut(text: str) -> Iterator[str]:
    """Passages that end where a paragraph does."""
    passage = ""
    for paragraph in text.split("\n\n"):
        if passage and len(passage) + len(paragraph) > _PASSAGE:
            yield passage
            passage = ""
        passage = f"{passage}\n\n{paragraph}" if passage else paragraph
    if passage.strip():
        yield passage
