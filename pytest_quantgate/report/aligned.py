"""Both answers of one turn token by token in two columns, around the place where they part."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from math import exp
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from pytest_quantgate.outcomes.difference import first_difference, first_unequal
from pytest_quantgate.outcomes.margins import NEAR_TIE
from pytest_quantgate.printable import visible
from pytest_quantgate.report.difference import parting
from pytest_quantgate.report.pieces import margin_at, tokens_of, words_of
from pytest_quantgate.report.text import indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from tokenizers import Tokenizer

    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.report.pieces import Pieces

BEFORE: Final = 8
"""Tokens before the first difference that are shown."""

AFTER: Final = 32
"""Tokens of each answer from the first difference on that are laid beside each other."""

_CERTAIN: Final = 13.8
"""Nats from which odds are a million to one."""

_NUMBER, _MARGIN, _NARROWEST_TOKEN = 6, 6, 8
"""Columns of a cell."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What tokens are read with.

    Attributes:
        tokenizer: The model's; None when it cannot be had.
        name: The model, or why its tokenizer cannot be had.
    """

    tokenizer: Tokenizer | None
    name: str


def aligned(turn: Comparison, reference: str, candidate: str, reader: Reader, width: int) -> Iterator[RenderableType]:
    """The tokens around the first difference, and what the decision margins there say.

    Args:
        turn: One turn, answered by both.
        reference: Spec of the reference.
        candidate: Spec of the candidate.
        reader: What tokens are read with.
        width: Columns to fill, at least 80.
    """
    before, after = turn.reference.completion, turn.candidate.completion
    if before.problem is not None or after.problem is not None:
        yield from indented(parting(turn, reference, candidate), width)
        return
    left, right, kind = _pieces(turn, reader)
    parted = first_unequal(left.keys, right.keys)
    if parted is None:
        yield from indented(parting(turn, reference, candidate), width)
        return
    yield from indented(kind, width, rest="  ")
    yield from _rows(left, right, parted, (reference, candidate), width)
    yield from indented(parting(turn, reference, candidate), width, rest="  ")
    yield from indented(_explained(turn, candidate), width, rest="  ")


def _pieces(turn: Comparison, reader: Reader) -> tuple[Pieces, Pieces, str]:
    """Both answers in pieces of the same kind, and which kind that is."""
    before, after = turn.reference.completion, turn.candidate.completion
    why = reader.name
    if reader.tokenizer is not None:
        left, right = tokens_of(before, reader.tokenizer), tokens_of(after, reader.tokenizer)
        if left is not None and right is not None:
            return left, right, f"Token by token, as the tokenizer of {reader.name} reads them; margins in nats:"
        why = f"the tokenizer of {reader.name} does not give these answers"
    if not (before.token_ids or after.token_ids):
        why = "the tokens of recorded answers are not known"
    return words_of(before), words_of(after), f"Word by word ({why}):"


def _rows(left: Pieces, right: Pieces, parted: int, specs: tuple[str, str], width: int) -> Iterator[RenderableType]:
    """Two columns; the row of the first difference has a ``>`` between them, later ones a ``≠``."""
    column = (width - 3) // 2
    head = [set_cell_size(" ".join(wrap(spec, column)[:1]), column) for spec in specs]
    yield Text(f"{head[0]}   {head[1].rstrip()}", style="bold")
    start = max(0, parted - BEFORE)
    if start:
        yield Text(f"... {start:,} equal before", style="dim")
    for index in range(start, parted):
        yield f"{_cell(left, index, column)} | {_cell(right, index, column)}"
    for number, (one, other) in enumerate(_matched(left, right, parted)):
        equal = one is not None and other is not None and left.keys[one] == right.keys[other]
        mark = ">" if number == 0 else "|" if equal else "≠"
        yield Text(f"{_cell(left, one, column)} {mark} {_cell(right, other, column)}", style="" if number else "yellow")
    rest = [max(0, len(side.keys) - parted - AFTER) for side in (left, right)]
    if any(rest):
        yield Text(visible(f"... {rest[0]:,} more of {specs[0]}, {rest[1]:,} more of {specs[1]}"), style="dim")


def _matched(left: Pieces, right: Pieces, parted: int) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of indexes from the first difference on: that pair itself, then what is alike side by side."""
    first = tuple(parted if parted < len(side.keys) else None for side in (left, right))
    yield first[0], first[1]
    begin = parted + 1
    one, other = (side.keys[begin : parted + AFTER] for side in (left, right))
    for tag, *bounds in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        a, b, c, d = (bound + begin for bound in bounds)
        pairs = zip_longest(range(a, b), range(c, d))
        yield from zip(range(a, b), range(c, d), strict=True) if tag == "equal" else pairs


def _cell(side: Pieces, index: int | None, column: int) -> str:
    """Number, token and margin, as wide as the column."""
    if index is None:
        return " " * column
    margin = side.margin(index)
    shown = f"{'' if margin is None else f'{margin:.2f}':>{_MARGIN}}"
    room = max(_NARROWEST_TOKEN, column - _NUMBER - len(shown) - 2)
    text = repr(side.text(index)[: room + 1])
    if cell_len(text) > room:
        text = set_cell_size(text, room - 1) + "…"
    return set_cell_size(f"{index + 1:>{_NUMBER}} {set_cell_size(text, room)} {shown}", column)


def _explained(turn: Comparison, candidate: str) -> str:
    """What the margins where the answers part mean."""
    before, after = turn.reference.completion, turn.candidate.completion
    index = first_difference(before, after)
    if index is None:
        return "Their tokens are not known, and so no decision margin is."
    margin, other = margin_at(before.margins, index), margin_at(after.margins, index)
    if margin is None:
        return "No decision margin was recorded there."
    odds = _odds(exp(margin)) if margin < _CERTAIN else "over a million"
    text = f"{margin:.2f} nats are odds of {odds} to 1 for the reference's token over its runner-up"
    if margin < NEAR_TIE:
        text += ": both were almost as likely, and any rounding can turn that"
    if other is not None:
        text += f". {candidate} preferred its own token by {other:.2f}, so its weights moved the odds between the two "
        text += f"by {margin + other:.2f} nats or more"
    return f"{text}."


def _odds(ratio: float) -> str:
    """Three digits that count: ``1.65``, ``2,360``."""
    return f"{ratio:.3g}" if ratio < 1000 else f"{round(ratio, -1):,.0f}"  # noqa: PLR2004
