"""How sure the reference was where the candidate parts from it: near-ties against real damage."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.clusters import groups_of, share_of
from pytest_quantgate.outcomes.difference import first_difference, turns_of
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.outcomes.values import scored_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.outcomes.model import Comparison

NEAR_TIE: Final = 0.1
"""Nats below which a preference is called a near tie: odds of at most 1.1 to 1."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Decision margins of cases whose answers part.

    The decision margin is the reference's log-probability gap between its token and the runner-up, in nats, at the
    first token where the candidate parts from it; of a case with several turns, in the first turn that parts.

    Attributes:
        parted: Cases whose answers part.
        measured: How many of them have a margin: an answer that was recorded without, and a reference that ends
            where the candidate goes on, have none.
        median: Median margin; None without any.
        near_ties: Share of the measured ones below 0.1 nats, with its Wilson interval.
    """

    parted: int
    measured: int
    median: float | None
    near_ties: Estimate


@dataclass(frozen=True, slots=True)
class Margins:
    """Decision margins by what became of the case.

    Attributes:
        degraded: Of PASS→FAIL cases.
        preserved: Of PASS→PASS cases: what parting costs nothing looks like.
    """

    degraded: Parting
    preserved: Parting


def margins(comparisons: Iterable[Comparison]) -> Margins:
    """The decision margins of the scored cases of one slice and candidate."""
    scored = scored_of(comparisons)
    return Margins(
        degraded=_parting([each for each in scored if each.transition is Transition.DEGRADED]),
        preserved=_parting([each for each in scored if each.transition is Transition.PRESERVED]),
    )


def _parting(comparisons: Sequence[Comparison]) -> Parting:
    parted, known, groups = 0, [], []
    for each, group in zip(comparisons, groups_of(comparisons), strict=True):
        turn = next((turn for turn in turns_of(each) if _parts(turn)), None)
        if turn is None:
            continue
        parted += 1
        margin = _margin(turn)
        if margin is not None:
            known.append(margin)
            groups.append(group)
    return Parting(
        parted=parted,
        measured=len(known),
        median=median(known) if known else None,
        near_ties=share_of(
            [margin < NEAR_TIE for margin in known],
            groups,
            "no margin was measured" if parted else "no answer parts from the reference's",
        ),
    )


def _parts(turn: Comparison) -> bool:
    before, after = turn.reference.completion, turn.candidate.completion
    if before.has_tokens and after.has_tokens:
        return before.token_ids != after.token_ids
    return before.text != after.text


def _margin(turn: Comparison) -> float | None:
    """The margin where the answers of a turn part; None when it was not measured."""
    before, after = turn.reference.completion, turn.candidate.completion
    index = first_difference(before, after) if after.has_tokens else None
    if index is None or index >= len(before.margins) or not isfinite(before.margins[index]):
        return None
    return before.margins[index]
