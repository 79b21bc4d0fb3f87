"""Where two recorded answers to one case part, token by token; no torch and no tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.recall import NAME as RECALL
from pytest_quantgate.outcomes.difference import first_difference, turns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.checks.model import Recall
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.outcomes.model import Comparison

NO_TOKENS: Final = "the tokens of its answers were not recorded"
SAME_TOKENS: Final = "both variants gave the same tokens, which were graded differently"
NOT_MEASURED: Final = "the text that it should recall was not measured with both variants"
NO_END: Final = "the reference's answer ended there, and nobody knows by which token"
EMPTY: Final = "the reference's answer is empty"

END: Final = -1
"""Stands for the token that ended an answer: a model may have several, and recorded answers are without it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One place in the answers to one case.

    Attributes:
        turn: The turn that it lies in.
        shared: What both gave before it: tokens of the answer, or of the text that is recalled.
        target: The reference's next token, ``END`` where its answer ended; or the recalled text's.
        rival: The candidate's next token, ``END`` where its answer ended; None where it is the same, or is not known.
        following: What comes behind the target: of the reference's answer, or of the recalled text.
        recalled: Whether it lies in a text that a ``recall`` check names, and not in the answers.
    """

    turn: Comparison
    shared: tuple[int, ...]
    target: int
    rival: int | None
    following: tuple[int, ...]
    recalled: bool = False

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt, as the reference counted it."""
        return self.turn.reference.completion.prompt_tokens

    @property
    def tokens(self) -> int:
        """Tokens before the target."""
        return self.prompt_tokens + len(self.shared)


def where_it_broke(comparison: Comparison) -> Spot | str:
    """Where a degraded case went wrong: in its first turn whose answers differ, the first token that does.

    A turn that broke on a ``recall`` check went wrong in the recalled text, whatever was answered: at its first token
    that ranks lower with the candidate.

    Args:
        comparison: A degraded case.

    Returns:
        The place, or why there is none.
    """
    for turn in turns_of(comparison):
        if _recalls(turn, kept=False):
            return _slipped(turn)
        before, after = _completions(turn)
        if not (before.has_tokens and after.has_tokens):
            return NO_TOKENS
        index = first_difference(before, after)
        if index is not None:
            return _at(turn, index)
    return SAME_TOKENS


def where_least_sure(comparison: Comparison) -> Spot | str:
    """Where the reference was least sure in a preserved case, as far as both gave the same and one token on.

    By decision margin; by log-probability in the text that a ``recall`` check names. Where neither is known, it is the
    first token.

    Args:
        comparison: A preserved case.

    Returns:
        The place, or why there is none.
    """
    found: list[tuple[float, Comparison, int]] = []
    for turn in turns_of(comparison):
        if _recalls(turn, kept=True):
            return _least_sure_of_recalled(turn)
        before, after = _completions(turn)
        if not (before.has_tokens and after.has_tokens):
            return NO_TOKENS
        parted = first_difference(before, after)
        reached = len(before.token_ids) if parted is None else min(parted + 1, len(before.token_ids))
        margins = (*before.margins, *[inf] * reached)[:reached]
        if margins:
            index = _lowest(margins)
            found.append((margins[index], turn, index))
        if parted is not None:
            break
    if not found:
        return EMPTY
    _, turn, index = found[_lowest([margin for margin, _, _ in found])]
    return _at(turn, index)


def _at(turn: Comparison, index: int) -> Spot | str:
    """A place in the answers."""
    before, after = _completions(turn)
    target = _token(before, index)
    if target is None:
        return NO_END
    return Spot(turn, before.token_ids[:index], target, _other(after, index, target), before.token_ids[index + 1 :])


def _recalls(turn: Comparison, *, kept: bool) -> bool:
    """Whether a turn has a ``recall`` check that the reference follows, and the candidate does or does not."""
    graded = zip(turn.case.checks, turn.reference.results, turn.candidate.results, strict=False)
    return any(spec.name == RECALL and before.followed and after.followed is kept for spec, before, after in graded)


def _slipped(turn: Comparison) -> Spot | str:
    """The first token that ranks lower with the candidate, in the text that the reference knew best.

    Where none does, a text has become too improbable as a whole: its first token.
    """
    texts = _measured(turn)
    for before, after in texts:
        for index, (was, now) in enumerate(zip(before.ranks, after.ranks, strict=True)):
            if now > was:
                return _in_text(turn, before, index)
    return _in_text(turn, texts[0][0], 0) if texts else NOT_MEASURED


def _least_sure_of_recalled(turn: Comparison) -> Spot | str:
    texts = _measured(turn)
    return _in_text(turn, texts[0][0], _lowest(texts[0][0].log_probabilities)) if texts else NOT_MEASURED


def _measured(turn: Comparison) -> list[tuple[Recall, Recall]]:
    """The texts that were measured with both variants, what the reference knew best first."""
    before, after = _completions(turn)
    others = {each.text: each for each in after.recall}
    pairs = [(each, others[each.text]) for each in before.recall if each.text in others]
    sound = [(one, other) for one, other in pairs if _is_sound(one) and _is_sound(other)]
    alike = [(one, other) for one, other in sound if one.token_ids == other.token_ids]
    return sorted(alike, key=lambda pair: (pair[0].rank, -pair[0].log_probability))


def _is_sound(measured: Recall) -> bool:
    """Whether there is a measure for each token; a report that was read back may hold anything."""
    lengths = {len(measured.token_ids), len(measured.ranks), len(measured.log_probabilities)}
    return measured.problem is None and len(lengths) == 1 and bool(measured.token_ids)


def _in_text(turn: Comparison, text: Recall, index: int) -> Spot:
    """A place in a recalled text; what the candidate would say there is known where its answer begins like it."""
    shared, (target, *following) = text.token_ids[:index], text.token_ids[index:]
    after = turn.candidate.completion
    rival = _other(after, index, target) if after.token_ids[:index] == shared else None
    return Spot(turn, shared, target, rival, tuple(following), recalled=True)


def _other(answer: Completion, index: int, target: int) -> int | None:
    """An answer's token, unless it is the target."""
    token = _token(answer, index)
    return None if token == target else token


def _token(answer: Completion, index: int) -> int | None:
    """An answer's token; None where it was cut off there."""
    if index < len(answer.token_ids):
        return answer.token_ids[index]
    return END if answer.finish_reason == "stop" else None


def _lowest(values: Sequence[float]) -> int:
    """Where the lowest stands, the first of equal ones; what is not a number counts as the highest."""
    return min(range(len(values)), key=lambda index: values[index] if isfinite(values[index]) else inf)


def _completions(turn: Comparison) -> tuple[Completion, Completion]:
    return turn.reference.completion, turn.candidate.completion
