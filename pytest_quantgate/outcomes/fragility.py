"""Which kinds of checks a candidate breaks: of what the reference followed, the share that is violated."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.breakdown import category_of
from pytest_quantgate.outcomes.clusters import groups_of, share_of
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.outcomes.values import scored_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pytest_quantgate.outcomes.model import Comparison


@dataclass(frozen=True, slots=True)
class Fragility:
    """The fragility of one category of checks (Paper §4.3.3, Table 5).

    Attributes:
        category: Part of the check's name before the colon, else the name.
        followed: Checks of that category, of scored cases, that the reference followed.
        violated: How many of those the candidate violates.
        share: violated / followed with its Wilson interval, which allows for checks that share a case or a cluster;
            undefined when the reference followed none.
    """

    category: str
    followed: int
    violated: int
    share: Estimate


def fragilities(comparisons: Iterable[Comparison]) -> tuple[Fragility, ...]:
    """Every category of the scored cases, the most fragile first, those without a share last."""
    scored = scored_of(comparisons)
    broken: dict[str, list[bool]] = defaultdict(list)
    theirs: dict[str, list[Hashable]] = defaultdict(list)
    for group, each in zip(groups_of(scored), scored, strict=True):
        for before, after in zip(each.reference.results, each.candidate.results, strict=False):
            values = broken[category_of(before.check)]
            if before.followed:
                values.append(not after.followed)
                theirs[category_of(before.check)].append(group)
    found = [
        Fragility(
            category,
            len(values),
            sum(values),
            share_of(values, theirs[category], "the reference followed no check of this category"),
        )
        for category, values in broken.items()
    ]
    return tuple(sorted(found, key=_rank))


def _rank(fragility: Fragility) -> tuple[float, str]:
    value = fragility.share.value
    return (1.0 if value is None else -value), fragility.category
