"""Asking no more than a verdict needs: the order of the cases, the looks at them, and what each look may spend.

The design is Bonferroni's spending of alpha over a few looks fixed beforehand. Each look's p-value is divided by its
share, the smallest counts; the probability that any look is wrong is then at most alpha under any dependence between
looks, cases and slices, so a slice may stop at any look, for any reason. docs/gates.md compares it with other designs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.model import Case

SHARES: Final = (0.15, 0.25, 0.6)
"""What the looks after equal parts of the cases may spend: most is kept for the last one, so little power is lost."""


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """When a slice is looked at.

    Attributes:
        cases: Cases asked by then.
        share: Share of alpha that this look may spend; all looks of a slice together 1.
    """

    cases: int
    share: float


def order(cases: Sequence[Case], seed: int) -> tuple[Case, ...]:
    """A random order that follows from the seed and the names alone; cases that share a cluster stay together.

    Args:
        cases: The cases of one slice.
        seed: The same seed gives the same order, however the cases are listed.
    """
    groups: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: case.id):
        groups[("case", case.id) if case.cluster is None else ("cluster", case.cluster)].append(case)
    drawn = sorted(groups, key=lambda name: digest_of([seed, *name]))
    return tuple(chain.from_iterable(groups[name] for name in drawn))


def looks(ordered: Sequence[Case], min_cases: int) -> tuple[PlannedLook, ...]:
    """When to look at a slice: after equal parts of its cases, as far as those are enough for a verdict.

    Args:
        ordered: The cases in the order in which they are asked; a look never parts a cluster.
        min_cases: Fewest cases of a look before the last.

    Returns:
        At least one look; the last one has all cases.
    """
    n = len(ordered)
    whole = [
        place
        for place in range(1, n)
        if ordered[place].cluster is None or ordered[place].cluster != ordered[place - 1].cluster
    ]
    weights = {n: SHARES[-1]}
    for part, share in enumerate(SHARES[:-1], 1):
        cases = next((end for end in whole if end >= n * part / len(SHARES)), n)
        if cases >= min_cases:
            weights.setdefault(cases, share)
    total = sum(weights.values())
    return tuple(PlannedLook(cases, weights[cases] / total) for cases in sorted(weights))
