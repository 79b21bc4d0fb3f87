"""Where two answers part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.model import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.generation.completion import Completion


def turns_of(comparison: Comparison) -> list[Comparison]:
    """The comparison of each turn, its case as the reference was asked it; the comparison itself of a single turn."""
    pairs = list(zip(comparison.reference.turns, comparison.candidate.turns, strict=False))
    if not pairs:
        return [comparison]
    answers = [before.completion.text for before, _ in pairs]
    return [
        Comparison(comparison.case.turn_after(answers[:number]), before, after)
        for number, (before, after) in enumerate(pairs)
    ]


def first_difference(before: Completion, after: Completion) -> int | None:
    """Index of the first generated token that differs, counted from 0; None when all are the same.

    When one answer is the other's beginning, it is the index at which the shorter one stopped.
    """
    return first_unequal(before.token_ids, after.token_ids)


def first_unequal(left: Sequence[object], right: Sequence[object]) -> int | None:
    """Index of the first members that differ, or that only one side has."""
    if left == right:  # most are, and need no look at each member
        return None
    for index, (before, after) in enumerate(zip(left, right, strict=False)):
        if before != after:
            return index
    return None if len(left) == len(right) else min(len(left), len(right))
