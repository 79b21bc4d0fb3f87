"""How near a candidate's distributions are to the reference's, over the answers of a slice."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from pytest_quantgate.generation.expected import Fidelity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantgate.outcomes.model import Comparison


def fidelity_of(comparisons: Iterable[Comparison]) -> Fidelity | None:
    """The fidelity over all tokens of the reference's answers; None where none was measured.

    Args:
        comparisons: The cases; every measured turn counts, scored or not.
    """
    found = [
        turn.completion.fidelity
        for each in comparisons
        for turn in each.candidate.turns or (each.candidate,)
        if turn.completion.fidelity is not None
    ]
    tokens = sum(each.tokens for each in found)
    if not tokens:
        return None
    divergence = fsum(each.divergence * each.tokens for each in found) / tokens
    return Fidelity(tokens, sum(each.agreeing for each in found), divergence)
