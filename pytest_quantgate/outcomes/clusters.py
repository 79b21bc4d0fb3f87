"""Cases that vary one prompt: what sharing a cluster costs in evidence, and reliable@k."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import fsum
from statistics import fmean
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.intervals import Estimate, newcombe_paired, wilson
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.outcomes.transitions import TransitionCounts

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pytest_quantgate.outcomes.model import Comparison, Outcome

_DOUBT: Final = 3  # clusters for which the cases of a cluster are taken as wholly alike


@dataclass(frozen=True, slots=True)
class Reliability:
    """Clusters of at least two cases as units: a cluster passes when all its cases pass (reliable@k, IFEval++).

    Attributes:
        smallest: Cases of the smallest cluster.
        largest: Cases of the largest cluster: the k of reliable@k where both are equal.
        counts: Clusters by transition.
        unscored: Clusters with an unscored case.
        reference: Share of clusters that the reference passes.
        candidate: Share of clusters that the candidate passes.
        pass_to_fail: PASS→FAIL rate over clusters.
    """

    smallest: int
    largest: int
    counts: TransitionCounts
    unscored: int
    reference: Estimate
    candidate: Estimate
    pass_to_fail: Estimate


def groups_of(comparisons: Sequence[Comparison]) -> tuple[Hashable, ...]:
    """What is resampled together: the cluster of each case, or the case itself."""
    return tuple(place if each.case.cluster is None else each.case.cluster for place, each in enumerate(comparisons))


def design_effect(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """How many times as many cases are needed because some share a cluster; at least 1.

    Kish's design effect of a mean (Survey Sampling, 1965): its variance over whole clusters, by linearization of
    the ratio of sums, over its variance had all cases been drawn alone, which for zeros and ones is the binomial one.
    n divided by it is the effective number of cases (Korn and Graubard 1998). It is never more than that of clusters
    whose cases are wholly alike, and it is that where nothing can be estimated: one cluster, or values that do not
    vary. What few clusters show is mixed with that safe assumption, as if three more had shown it: an estimate from a
    handful of degraded clusters is too small just where their number is, and gates would pass too often
    (benchmarks/gate_errors.py). A cluster counts by its pairs of cases: single cases say nothing of how alike cases of
    a cluster are, and pairs next to nothing of a cluster of a hundred.

    Args:
        values: One per case.
        groups: What each case is drawn together with, as ``groups_of`` gives it.
    """
    n = len(values)
    sizes = Counter(groups)
    if len(sizes) == n:  # every case alone, or none at all
        return 1.0
    alike = sum(size * size for size in sizes.values()) / n
    mean = fmean(values)
    alone = fsum((value - mean) ** 2 for value in values) / ((n - 1) * n)
    if alone == 0 or len(sizes) == 1:
        return alike
    residuals: dict[Hashable, list[float]] = defaultdict(list)
    for value, group in zip(values, groups, strict=True):
        residuals[group].append(value - mean)
    count = len(sizes)
    together = count / (count - 1) * fsum(fsum(each) ** 2 for each in residuals.values()) / n**2
    estimated = min(max(together / alone, 1.0), alike)
    counts = Counter(values)
    usual = max(counts, key=lambda value: (counts[value], value))
    pairs = {group: size * (size - 1) for group, size in sizes.items()}
    varying = {group for value, group in zip(values, groups, strict=True) if value != usual}
    shown = sum(pairs[group] for group in varying)
    telling = shown * sum(pairs.values()) / sum(each**2 for each in pairs.values())  # of equal size: their number
    return min((telling * estimated + _DOUBT * alike) / (telling + _DOUBT), alike)


def kish(weights: Sequence[float]) -> float:
    """What cases are worth that stand for unequal numbers of others: (Σw)² / Σw² (Kish, Survey Sampling, 1965).

    At most their number, and that where all weigh the same.

    Args:
        weights: One per case, above 0; at least one.
    """
    return fsum(weights) ** 2 / fsum(weight * weight for weight in weights)


def share_of(values: Sequence[float], groups: Sequence[Hashable], undefined: str) -> Estimate:
    """The mean of values in [0, 1] with its Wilson interval, over the effective number of cases.

    Args:
        values: One per case; none leave the mean undefined.
        groups: What each case is drawn together with.
        undefined: Why there would be no value.
    """
    if not values:
        return Estimate(None, undefined=undefined)
    effect = design_effect(values, groups)
    return Estimate(fmean(values), wilson(fsum(values) / effect, len(values) / effect))


def change_of(before: Sequence[float], after: Sequence[float], groups: Sequence[Hashable], undefined: str) -> Estimate:
    """The mean of ``after`` less that of ``before``, with Newcombe's paired interval over the effective number.

    Args:
        before: Values in [0, 1], one per case.
        after: Likewise, of the same cases in the same order.
        groups: What each case is drawn together with.
        undefined: Why there would be no value.
    """
    if not before:
        return Estimate(None, undefined=undefined)
    changes = [new - old for old, new in zip(before, after, strict=True)]
    effective = len(changes) / design_effect(changes, groups)
    return Estimate(fmean(changes), newcombe_paired(after, before, effective=effective))


def reliability(comparisons: Sequence[Comparison]) -> Reliability | None:
    """Transitions over clusters; None when no cluster has two cases."""
    clusters: dict[str, list[Comparison]] = defaultdict(list)
    for each in comparisons:
        if each.case.cluster is not None:
            clusters[each.case.cluster].append(each)
    shared = [members for members in clusters.values() if len(members) > 1]
    if not shared:
        return None
    scored = [
        (_all_pass(each.reference for each in members), _all_pass(each.candidate for each in members))
        for members in shared
        if all(each.transition is not Transition.UNSCORED for each in members)
    ]
    kinds = Counter(scored)
    alone, undefined = range(len(scored)), "every cluster has an unscored case"
    return Reliability(
        smallest=min(map(len, shared)),
        largest=max(map(len, shared)),
        counts=TransitionCounts(
            pp=kinds[True, True], ff=kinds[False, False], pf=kinds[True, False], fp=kinds[False, True]
        ),
        unscored=len(shared) - len(scored),
        reference=share_of([before for before, _ in scored], alone, undefined),
        candidate=share_of([after for _, after in scored], alone, undefined),
        pass_to_fail=share_of([before and not after for before, after in scored], alone, undefined),
    )


def _all_pass(outcomes: Iterable[Outcome]) -> bool:
    return all(outcome.passed for outcome in outcomes)
