"""Where a slice's changes are: by tag, category of check, number of checks, boundary distance and cluster."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from pytest_quantgate.outcomes.statistics import SliceStatistics, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_quantgate.outcomes.model import Comparison, Outcome

Kind = Literal["tag", "category", "checks", "boundary", "cluster"]

BINS: Final = 5
"""Bins of the boundary distance, which is at most 0.5: each is 0.1 wide."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """The cases of a slice that have something in common.

    A case belongs to each of its tags and to the category of each of its checks, so that those overlap; to one
    number of checks; to one bin of boundary distance, unless the reference left it unscored; and to its cluster, where
    that has at least two cases.

    Attributes:
        kind: What they have in common.
        name: Which tag, category or cluster; the number of checks; the bin, such as ``0.4-0.5``.
        statistics: Of these cases alone, without resampled intervals.
    """

    kind: Kind
    name: str
    statistics: SliceStatistics


def strata(comparisons: Iterable[Comparison]) -> tuple[Stratum, ...]:
    """Every stratum, by kind, then by name or number.

    Boundary distance is d = abs(reference compliance - 0.5) of a case (Paper §4.3, Table 3). Under strict grading a
    case can only degrade from a compliance of 1, so PASS→FAIL is in the bin 0.4-0.5 by construction.
    """
    members: dict[tuple[int, int, str], list[Comparison]] = defaultdict(list)
    kinds: tuple[Kind, ...] = get_args(Kind)
    for each in comparisons:
        for kind, number, name in set(_places(each)):
            members[kinds.index(kind), number, name].append(each)
    return tuple(
        Stratum(kinds[kind], name, summarize(members[kind, number, name], resample=False))
        for kind, number, name in sorted(members)
        if kinds[kind] != "cluster" or len(members[kind, number, name]) > 1
    )


def category_of(check: str) -> str:
    """The category of a check: its name up to the colon, else the name."""
    return check.partition(":")[0]


def _places(comparison: Comparison) -> Iterator[tuple[Kind, int, str]]:
    """Where a case belongs: kind, number to sort by, name."""
    case, results = comparison.case, comparison.reference.results
    yield from (("tag", 0, tag) for tag in case.tags)
    yield from (("category", 0, category_of(result.check)) for result in results)
    yield "checks", len(results), str(len(results))
    if comparison.reference.passed is not None:
        place = _bin(comparison.reference)
        yield "boundary", place, f"{place / 10:.1f}-{(place + 1) / 10:.1f}"
    if case.cluster is not None:
        yield "cluster", 0, case.cluster


def _bin(outcome: Outcome) -> int:
    """The bin of a boundary distance, 0 to 4; in whole numbers, as 0.6 - 0.5 is below 0.1 in floating point."""
    checks = len(outcome.results)
    followed = sum(result.followed is True for result in outcome.results)
    return min(5 * abs(2 * followed - checks) // checks, BINS - 1)
