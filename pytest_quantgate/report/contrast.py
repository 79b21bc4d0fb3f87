"""Two candidates side by side: two models, two variants or two dates, with the tests between them.

Source: the paper, section 4, Tables 1 to 5 and 4.6, which compares two models by a two-proportion z-test. Where both
runs asked the same cases that test is wrong, for it takes them for different ones; there the statuses are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

from pytest_quantgate.outcomes.breakdown import Stratum, strata
from pytest_quantgate.outcomes.clusters import design_effect, groups_of
from pytest_quantgate.outcomes.fragility import Fragility, fragilities
from pytest_quantgate.outcomes.intervals import Estimate, newcombe_independent, newcombe_paired
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.outcomes.significance import (
    RankTest,
    ZTest,
    binomial_exact,
    bonferroni,
    cohens_h,
    holm,
    mann_whitney,
    mcnemar_exact,
    two_proportion_z,
)
from pytest_quantgate.outcomes.statistics import SliceStatistics, summarize
from pytest_quantgate.outcomes.values import pass_to_fail_values, violation_rate
from pytest_quantgate.report.sides import Key, Side, asked_of

NOTHING_SCORED: Final = "no case is scored"


@dataclass(frozen=True, slots=True)
class MadeTest:
    """One test that was made, or could not be.

    Attributes:
        slice: Its slice; None over all of them.
        question: ``pass_to_fail`` (first against second), ``balance_first`` and ``balance_second`` (PASS→FAIL against
            FAIL→PASS within one run), or ``violation_rate`` (of degraded cases, first against second).
        method: How it was computed.
        p: Two-sided p-value; None where it could not be made.
        bonferroni: Adjusted for all tests that were made.
        holm: The same by Holm's method, which is never larger.
        undefined: Why it could not be made.
    """

    slice: str | None
    question: str
    method: str
    p: float | None
    bonferroni: float | None = None
    holm: float | None = None
    undefined: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One slice, or all of them, in both runs.

    Attributes:
        slice: Its name; None for all slices together.
        paired: Whether the statuses of both runs are compared case by case.
        cases: Cases of the first run, of the second, and those that are the same in both.
        first: Statistics of the first run: over the same cases where they are paired, else over all of them.
        second: The same of the second run.
        scored: Cases scored in both runs; 0 where they are not paired.
        only_first: Of those, degraded in the first run alone.
        only_second: Of those, degraded in the second run alone.
        difference: PASS→FAIL rate of the second less that of the first, with Newcombe's interval.
        z: Pooled two-proportion z-test of first against second, which takes the cases for different ones.
        h: Cohen's h of both rates.
        ranks: Mann-Whitney U of the violation rates of degraded cases, first against second.
    """

    slice: str | None
    paired: bool
    cases: tuple[int, int, int]
    first: SliceStatistics
    second: SliceStatistics
    scored: int
    only_first: int
    only_second: int
    difference: Estimate
    z: ZTest | None
    h: float | None
    ranks: RankTest | None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the damage of one run lies, over all slices.

    Attributes:
        boundary: Cases by how far the reference's compliance is from one half.
        checks: Cases by their number of checks.
        fragility: Checks by category.
    """

    boundary: tuple[Stratum, ...]
    checks: tuple[Stratum, ...]
    fragility: tuple[Fragility, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two candidates side by side.

    Attributes:
        differs: What differs between both runs, by name.
        groups: All slices together first, then each slice that both runs have; the former alone where neither run has
            more than one slice.
        breakdowns: Of the first and of the second run.
        alone: Cases that only the first run has, and only the second, as ``slice::id``.
        changed: Cases of the same name in both runs that were asked or graded differently; they are in ``alone`` too.
        tests: All tests, adjusted for one another.
    """

    differs: tuple[str, ...]
    groups: tuple[Group, ...]
    breakdowns: tuple[Breakdown, Breakdown]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    changed: int
    tests: tuple[MadeTest, ...]


def contrast(first: Side, second: Side) -> Contrast:
    """Put two sides beside each other, slice by slice and over all, and test what differs."""
    asked = {key: asked_of(each.case) for key, each in first.cases.items() if key in second.cases}
    same = {key for key, digest in asked.items() if digest == asked_of(second.cases[key].case)}
    names = (first.slices, second.slices)
    shared = [name for name in names[0] if name in names[1]]
    groups = [_group(None, first.cases, second.cases, same)]
    if shared and (len(names[0]) > 1 or len(names[1]) > 1):
        groups += [_group(name, first.of(name), second.of(name), same) for name in shared]
    return Contrast(
        differs=tuple(
            name for name in sorted({*first.facts, *second.facts}) if first.facts.get(name) != second.facts.get(name)
        ),
        groups=tuple(groups),
        breakdowns=(
            _breakdown(first, same, paired=groups[0].paired),
            _breakdown(second, same, paired=groups[0].paired),
        ),
        alone=(_alone(first, same), _alone(second, same)),
        changed=len(asked) - len(same),
        tests=_adjusted([test for group in groups for test in _tests(group)]),
    )


def _alone(one: Side, same: set[Key]) -> tuple[str, ...]:
    return tuple("::".join(key) for key in one.cases if key not in same)


def _group(
    name: str | None, first: Mapping[Key, Comparison], second: Mapping[Key, Comparison], same: set[Key]
) -> Group:
    common = [key for key in first if key in same]
    # a few common cases among many do not make two runs comparable case by case
    paired = bool(common) and 2 * len(common) >= max(len(first), len(second))
    keys = (common, common) if paired else (list(first), list(second))
    sides = [_apart(each, chosen) for each, chosen in zip((first, second), keys, strict=True)]
    before, after = map(summarize, sides)
    pairs = [(one, other) for one, other in zip(*sides, strict=True) if _both_scored(one, other)] if paired else []
    values = [pass_to_fail_values([each[place] for each in pairs]) for place in (0, 1)]
    counts = (before.counts.pf, before.counts.n, after.counts.pf, after.counts.n)
    rates = (before.counts.pass_to_fail_rate, after.counts.pass_to_fail_rate)
    return Group(
        slice=name,
        paired=paired,
        cases=(len(first), len(second), len(common)),
        first=before,
        second=after,
        scored=len(pairs),
        only_first=sum(one > other for one, other in zip(*values, strict=True)),
        only_second=sum(one < other for one, other in zip(*values, strict=True)),
        difference=_paired_difference(pairs, values) if paired else _difference(before, after),
        z=two_proportion_z(*counts),
        h=None if rates[0] is None or rates[1] is None else cohens_h(rates[0], rates[1]),
        ranks=mann_whitney(*map(_violations, sides)),
    )


def _apart(cases: Mapping[Key, Comparison], keys: Sequence[Key]) -> list[Comparison]:
    """Comparisons whose clusters are those of their slice: two slices may use one name for different things."""
    chosen = [(key[0], cases[key]) for key in keys]
    return [
        each
        if each.case.cluster is None
        else replace(each, case=replace(each.case, cluster=f"{name}::{each.case.cluster}"))
        for name, each in chosen
    ]


def _both_scored(one: Comparison, other: Comparison) -> bool:
    return Transition.UNSCORED not in (one.transition, other.transition)


def _violations(comparisons: Sequence[Comparison]) -> list[float]:
    return [violation_rate(each.candidate) for each in comparisons if each.transition is Transition.DEGRADED]


def _paired_difference(pairs: Sequence[tuple[Comparison, Comparison]], values: Sequence[Sequence[float]]) -> Estimate:
    if not pairs:
        return Estimate(None, undefined="no case is scored in both runs")
    first, second = values
    changes = [other - one for one, other in zip(first, second, strict=True)]
    effective = len(pairs) / design_effect(changes, groups_of([one for one, _ in pairs]))
    return Estimate(fmean(changes), newcombe_paired(second, first, effective=effective))


def _difference(first: SliceStatistics, second: SliceStatistics) -> Estimate:
    before, after = first.counts.pass_to_fail_rate, second.counts.pass_to_fail_rate
    if before is None or after is None:
        return Estimate(None, undefined=NOTHING_SCORED)
    sizes = [(each.counts.pf / each.design_effect, each.counts.n / each.design_effect) for each in (second, first)]
    return Estimate(after - before, newcombe_independent(*sizes[0], *sizes[1]))


def _breakdown(one: Side, same: set[Key], *, paired: bool) -> Breakdown:
    chosen = _apart(one.cases, [key for key in one.cases if key in same or not paired])
    found = strata(chosen)
    return Breakdown(
        boundary=tuple(each for each in found if each.kind == "boundary"),
        checks=tuple(each for each in found if each.kind == "checks"),
        fragility=fragilities(chosen),
    )


def _tests(group: Group) -> list[MadeTest]:
    tests = []
    if group.paired:
        p = mcnemar_exact(group.only_first, group.only_second) if group.scored else None
        tests.append(_test(group, "pass_to_fail", "exact McNemar", p, "no case is scored in both runs"))
    else:
        p = None if group.z is None else group.z.p
        tests.append(_test(group, "pass_to_fail", "two-proportion z", p, "no case is scored, or nothing varies"))
    for question, counts in (("balance_first", group.first.counts), ("balance_second", group.second.counts)):
        p = binomial_exact(counts.pf, counts.unstable) if counts.unstable else None
        tests.append(_test(group, question, "exact binomial", p, "no case changed"))
    p = None if group.ranks is None else group.ranks.p
    tests.append(_test(group, "violation_rate", "Mann-Whitney U", p, "a run without a degraded case"))
    return tests


def _test(group: Group, question: str, method: str, p: float | None, otherwise: str) -> MadeTest:
    return MadeTest(group.slice, question, method, p, undefined=otherwise if p is None else None)


def _adjusted(tests: Sequence[MadeTest]) -> tuple[MadeTest, ...]:
    values = [test.p for test in tests if test.p is not None]
    adjusted = iter(zip(bonferroni(values), holm(values), strict=True))
    found = []
    for test in tests:
        if test.p is None:
            found.append(test)
        else:
            by_bonferroni, by_holm = next(adjusted)
            found.append(replace(test, bonferroni=by_bonferroni, holm=by_holm))
    return tuple(found)
