"""How well a check agrees with people: agreement, Cohen's kappa, precision and recall, each with its interval.

Labelled answers are a stratified sample: each counts for as many answers as it stands for (Horvitz & Thompson 1952),
and the labels together for their effective number. "Positive" is an answer that does what the check asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from pytest_quantgate.outcomes.clusters import design_effect, kish
from pytest_quantgate.outcomes.intervals import (
    CONFIDENCE,
    Estimate,
    Interval,
    mean_of,
    newcombe_paired,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pytest_quantgate.outcomes.labelled import Rating

_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Confusion:
    """Labelled answers by what check and people say; counts, or shares that add up to 1.

    Attributes:
        both: Both say that the answer does what is asked.
        only_check: The check says so, people do not.
        only_people: People say so, the check does not.
        neither: Neither says so.
    """

    both: float
    only_check: float
    only_people: float
    neither: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one check agrees with people on some answers.

    Attributes:
        counts: The labelled answers, each counted once.
        agreement: Share on which both say the same, with Wilson's interval.
        kappa: Cohen's kappa: how far that is beyond what chance would give, 1 at most; asymptotic interval.
        precision: Of the answers that the check follows, the share of which people say the same; Wilson's interval.
        recall: Of the answers of which people say that they do what is asked, the share that the check follows;
            Wilson's interval.
    """

    counts: Confusion
    agreement: Estimate
    kappa: Estimate
    precision: Estimate
    recall: Estimate


def agreement_of(ratings: Sequence[Rating]) -> Agreement:
    """Everything about one sample of labelled answers; what cannot be computed is None with its reason."""
    weights = [each.weight for each in ratings]
    none = "no answer is labelled"
    return Agreement(
        counts=_confusion(ratings, [1.0] * len(ratings)),
        agreement=weighted_share(
            [float(each.followed is each.label) for each in ratings], weights, _groups(ratings), none
        ),
        kappa=_kappa(ratings) if ratings else Estimate(None, undefined=none),
        precision=_share_among(
            [each for each in ratings if each.followed],
            [float(each.label) for each in ratings if each.followed],
            "the check follows none of the labelled answers" if ratings else none,
        ),
        recall=_share_among(
            [each for each in ratings if each.label],
            [float(each.followed) for each in ratings if each.label],
            "people say of none of the labelled answers that it does what is asked" if ratings else none,
        ),
    )


def difference_of(reference: Sequence[Rating], candidate: Sequence[Rating]) -> Estimate:
    """Agreement on the candidate less that on the reference, with Newcombe's paired interval.

    Args:
        reference: The cases that are labelled on both sides, as the reference answered them.
        candidate: The same cases in the same order.
    """
    if not reference:
        return Estimate(None, undefined="no case is labelled on both sides")
    before = [float(each.followed is each.label) for each in reference]
    after = [float(each.followed is each.label) for each in candidate]
    weights = [each.weight for each in reference]
    changes = [new - old for old, new in zip(before, after, strict=True)]
    effective = effective_number(changes, weights, _groups(reference))
    interval = newcombe_paired(after, before, effective=effective, weights=weights)
    return Estimate(mean_of(changes, weights), interval)


def weighted_share(
    values: Sequence[float], weights: Sequence[float], groups: Sequence[Hashable], undefined: str
) -> Estimate:
    """A mean of values in [0, 1] that stand for unequal numbers of answers, with Wilson's interval.

    Args:
        values: One per labelled answer; none leave the mean undefined.
        weights: How many answers each stands for, above 0.
        groups: What each is drawn together with.
        undefined: Why there would be no value.
    """
    if not values:
        return Estimate(None, undefined=undefined)
    share, n = min(1.0, mean_of(values, weights)), effective_number(values, weights, groups)
    return Estimate(share, wilson(min(share * n, n), n))


def effective_number(values: Sequence[float], weights: Sequence[float], groups: Sequence[Hashable]) -> float:
    """What labels are worth that weigh unequally, some sharing a cluster: Kish's n over his design effect."""
    return kish(weights) / design_effect(values, groups)


def kappa(shares: Confusion, n: float, confidence: float = CONFIDENCE) -> Estimate:
    """Cohen's kappa (1960) with the asymptotic interval of Fleiss, Cohen and Everitt (1969).

    The interval's standard error is 0 where check and people never differ, or always do. That is no certainty, so there
    is no interval then; that of the agreement says how much so many labels show.

    Args:
        shares: Counts or shares, not all 0.
        n: What the labels are worth.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The estimate, its interval cut at -1 and 1; undefined where chance alone would give agreement on everything.
    """
    total = shares.both + shares.only_check + shares.only_people + shares.neither
    yes, no = shares.both / total, shares.neither / total
    only_check, only_people = shares.only_check / total, shares.only_people / total
    check, people = yes + only_check, yes + only_people
    by_chance = check * people + (1 - check) * (1 - people)
    if 1 - by_chance <= _ROUNDING:
        return Estimate(None, undefined="check and people say the same of every labelled answer: chance would as well")
    value = (yes + no - by_chance) / (1 - by_chance)
    beyond = 1 - value
    same = yes * (1 - (check + people) * beyond) ** 2 + no * (1 - (2 - check - people) * beyond) ** 2
    # a cell's row is the check's share of one answer, its column the people's share of the other one
    others = beyond**2 * (only_check * (people + 1 - check) ** 2 + only_people * (1 - people + check) ** 2)
    variance = (same + others - (value - by_chance * beyond) ** 2) / (n * (1 - by_chance) ** 2)
    if variance <= _ROUNDING:
        return Estimate(value)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance)
    return Estimate(value, Interval(max(-1.0, value - reach), min(1.0, value + reach), "asymptotic"))


def _kappa(ratings: Sequence[Rating]) -> Estimate:
    weights = [each.weight for each in ratings]
    wrong = [float(each.followed is not each.label) for each in ratings]
    return kappa(_confusion(ratings, weights), effective_number(wrong, weights, _groups(ratings)))


def _share_among(ratings: Sequence[Rating], values: Sequence[float], undefined: str) -> Estimate:
    return weighted_share(values, [each.weight for each in ratings], _groups(ratings), undefined)


def _confusion(ratings: Sequence[Rating], weights: Sequence[float]) -> Confusion:
    sums = {(check, people): 0.0 for check in (True, False) for people in (True, False)}
    for each, weight in zip(ratings, weights, strict=True):
        sums[each.followed, each.label] += weight
    return Confusion(sums[True, True], sums[True, False], sums[False, True], sums[False, False])


def _groups(ratings: Sequence[Rating]) -> list[Hashable]:
    return [each.group for each in ratings]
