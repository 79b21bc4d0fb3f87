"""Two candidates side by side as tables: the paper's Tables 1 to 5, and the tests between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_quantgate.plural import counted
from pytest_quantgate.report.breakdown import BOUNDARY_NOTE
from pytest_quantgate.report.figures import UNDEFINED, change, points, probability, ranged, share
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.outcomes.breakdown import Stratum
    from pytest_quantgate.outcomes.intervals import Estimate
    from pytest_quantgate.report.contrast import Contrast, Group, MadeTest
    from pytest_quantgate.report.sides import Side
    from pytest_quantgate.report.tables import Line

NAMED: Final = 5
"""Cases of one run alone that are named, and slices; all of them are counted."""

DIFFERENCES: Final = 12
"""Facts that differ between both runs that are named."""

_AGGREGATE: Final = (
    ("reference_pass", "reference pass rate"),
    ("candidate_pass", "candidate pass rate"),
    ("net_change", "change of the pass rate"),
    ("stability", "stability"),
    ("pass_to_fail", "PASS→FAIL rate"),
    ("loss", "loss rate"),
    ("robustness", "robustness R"),
    ("robustness_degraded", "R over degraded cases"),
    ("partial_compliance", "partial compliance"),
    ("pattern_stability", "pattern stability"),
)

_TRANSITIONS: Final = (
    ("PASS→PASS (preserved)", "pp"),
    ("FAIL→FAIL (failing before and after)", "ff"),
    ("PASS→FAIL (degraded)", "pf"),
    ("FAIL→PASS (improved)", "fp"),
    ("all scored cases", "n"),
)

_QUESTIONS: Final = {
    "pass_to_fail": "PASS→FAIL, A against B",
    "balance_first": "PASS→FAIL against FAIL→PASS in A",
    "balance_second": "PASS→FAIL against FAIL→PASS in B",
    "violation_rate": "violation rate of degraded cases, A against B",
}


def head(first: Side, second: Side, found: Contrast) -> tuple[Line, ...]:
    """What is compared."""
    differs = _named(found.differs, DIFFERENCES)
    return (
        *(
            (
                f"{label}: ",
                Name(each.path),
                ", ",
                Name(each.model),
                ", ",
                Name(each.candidate),
                " against ",
                Name(each.reference),
                ", ",
                Name(each.created),
            )
            for label, each in (("A", first), ("B", second))
        ),
        ("They differ in: ", *differs) if differs else ("Same model, variants and versions: two runs of one thing.",),
    )


def _named(names: Sequence[str], most: int) -> Line:
    """Some names, and how many more there are."""
    told = [piece for name in names[:most] for piece in (", ", Name(name))][1:]
    return (*told, f" and {len(names) - most} more") if len(names) > most else tuple(told)


def sheets(found: Contrast) -> Iterator[Sheet]:
    """All tables: over all slices, then slice by slice, then where the damage lies."""
    overall = found.groups[0]
    yield _aggregate(overall)
    yield _transitions(overall)
    yield _tests(found, overall)
    if len(found.groups) > 1:
        yield _slices(found)
    yield _strata("by boundary distance (Table 3)", "distance", found, "boundary", ((BOUNDARY_NOTE,),))
    yield _strata("by number of checks (Table 4)", "checks", found, "checks", ())
    yield _fragility(found)
    if coverage := tuple(_coverage(found)):
        yield Sheet(("cases of one run alone",), (), (), coverage)


def _aggregate(group: Group) -> Sheet:
    pairs = [(label, getattr(group.first, name), getattr(group.second, name)) for name, label in _AGGREGATE]
    reasons = dict.fromkeys(
        (f"{label}, {side}: ", f"{estimate.undefined}.")
        for label, *estimates in pairs
        for side, estimate in zip("AB", estimates, strict=True)
        if estimate.undefined is not None
    )
    return Sheet(
        title=("all cases (Table 1)",),
        headings=("", "A", "B", "B - A"),
        rows=tuple((label, ranged(one), ranged(other), _less(other, one)) for label, one, other in pairs),
        notes=(("In brackets 95% intervals; differences in percentage points.",), *reasons),
    )


def _less(one: Estimate, other: Estimate) -> str:
    return UNDEFINED if one.value is None or other.value is None else points(one.value - other.value)


def _transitions(group: Group) -> Sheet:
    first, second = group.first.counts, group.second.counts
    both = first.n + second.n
    rows = []
    for label, name in _TRANSITIONS:
        one, other = getattr(first, name), getattr(second, name)
        rows.append((label, str(one), str(other), str(one + other), share((one + other) / both if both else None)))
    return Sheet(("transitions (Table 2)",), ("", "A", "B", "both", "of both"), tuple(rows))


def _tests(found: Contrast, overall: Group) -> Sheet:
    tests = [test for test in found.tests if test.slice is None]
    made = sum(test.p is not None for test in found.tests)
    return Sheet(
        title=("tests over all cases",),
        headings=("question", "test", "p", "Bonferroni", "Holm"),
        rows=tuple(
            (
                _QUESTIONS[test.question],
                test.method,
                probability(test.p),
                probability(test.bonferroni),
                probability(test.holm),
            )
            for test in tests
        ),
        notes=(
            *((f"{_QUESTIONS[test.question]}: not tested, {test.undefined}.",) for test in tests if test.p is None),
            *((line,) for line in _details(overall)),
            (f"Bonferroni and Holm count all {made} tests made here, over all cases and in each slice.",),
        ),
    )


def _details(group: Group) -> Iterator[str]:
    """The figures behind the tests."""
    first, second = group.first.counts, group.second.counts
    in_both = group.cases[2]
    if group.paired:
        yield (
            f"Both runs asked {in_both} same cases, so statuses are paired: of {group.scored} scored in both,"
            f" {group.only_first} degraded in A alone and {group.only_second} in B alone."
        )
    else:
        yield (
            f"A has {counted(group.cases[0], 'case')} and B {group.cases[1]}, {in_both} of them the same: too few to"
            " pair, so the runs are taken as independent."
        )
    if group.difference.value is not None:
        yield f"PASS→FAIL rate, B less A: {change(group.difference)} points (Newcombe's 95% interval)."
    if group.z is not None and group.h is not None:
        label = "As the paper computes it, which takes the same prompts for different ones: " if group.paired else ""
        yield (
            f"{label}{first.pf}/{first.n} against {second.pf}/{second.n}: z {group.z.z:.4f}, p {group.z.p:.4f},"
            f" Cohen's h {group.h:.4f}."
        )
    if group.ranks is not None:
        d = UNDEFINED if group.ranks.cohens_d is None else f"{group.ranks.cohens_d:.2f}"
        yield (
            f"Violation rates of degraded cases: U {group.ranks.u:g}, rank-biserial {group.ranks.rank_biserial:.2f},"
            f" Cohen's d {d}."
        )
    if any(each.reliability is not None for each in (group.first, group.second)):
        yield "Some cases share a cluster: intervals allow for that, p-values take every case as drawn alone."


def _slices(found: Contrast) -> Sheet:
    by_slice = {test.slice: test for test in found.tests if test.question == "pass_to_fail"}
    rows = [_slice_row(group, by_slice[group.slice]) for group in found.groups[1:]]
    unpaired = [group.slice or "" for group in found.groups[1:] if not group.paired]
    note = ("By the two-proportion z-test, for most of their cases are not the same: ", *_named(unpaired, NAMED), ".")
    return Sheet(
        title=("PASS→FAIL by slice",),
        headings=("slice", "A", "B", "B - A, points", "p", "Holm"),
        rows=tuple(rows),
        notes=(note,) if unpaired else (),
    )


def _slice_row(group: Group, test: MadeTest) -> tuple[str, ...]:
    first, second = group.first.counts, group.second.counts
    return (
        Name(group.slice or ""),
        f"{first.pf}/{first.n}",
        f"{second.pf}/{second.n}",
        change(group.difference),
        probability(test.p),
        probability(test.holm),
    )


def _strata(title: str, heading: str, found: Contrast, kind: str, notes: tuple[Line, ...]) -> Sheet:
    sides: list[dict[str, Stratum]] = [{each.name: each for each in getattr(one, kind)} for one in found.breakdowns]
    names = dict.fromkeys(each.name for one in found.breakdowns for each in getattr(one, kind))
    order = {name: at for at, name in enumerate(sorted(names, key=_natural))}
    return Sheet(
        title=(title,),
        headings=(heading, "A\ncases", "un-\nstable", "P→F\nrate", "B\ncases", "un-\nstable", "P→F\nrate"),
        rows=tuple((name, *_stratum(sides[0].get(name)), *_stratum(sides[1].get(name))) for name in order),
        notes=notes,
    )


def _natural(name: str) -> tuple[float, str]:
    try:
        return float(name.partition("-")[0]), name
    except ValueError:
        return float("inf"), name


def _stratum(one: Stratum | None) -> tuple[str, str, str]:
    if one is None:
        return "0", UNDEFINED, UNDEFINED
    stable = one.statistics.stability.value
    return (
        str(one.statistics.counts.n),
        share(None if stable is None else 1 - stable),
        share(one.statistics.pass_to_fail.value),
    )


def _fragility(found: Contrast) -> Sheet:
    sides = [{each.category: each for each in one.fragility} for one in found.breakdowns]
    names = {*sides[0], *sides[1]}

    def value(name: str, at: int) -> float | None:
        return sides[at][name].share.value if name in sides[at] else None

    def cell(name: str, at: int) -> str:
        one = sides[at].get(name)
        return UNDEFINED if one is None else f"{share(one.share.value)} ({one.violated}/{one.followed})"

    order = sorted(names, key=lambda name: (-max(value(name, 0) or 0, value(name, 1) or 0), name))
    rows = []
    for name in order:
        one, other = value(name, 0), value(name, 1)
        difference = UNDEFINED if one is None or other is None else points(other - one)
        rows.append((Name(name), cell(name, 0), cell(name, 1), difference))
    return Sheet(
        title=("fragility by category of check (Table 5)",),
        headings=("category", "A", "B", "B - A"),
        rows=tuple(rows),
        notes=(("Of the checks that the reference followed, the share that the candidate violates.",),),
    )


def _coverage(found: Contrast) -> Iterator[Line]:
    for label, names in zip("AB", found.alone, strict=True):
        if names:
            yield (f"Only {label} has {len(names)}: ", *_named(names, NAMED), ".")
    if found.changed:
        yield (f"{found.changed} of them have one name in both runs, and other prompts or checks.",)
    if len(found.groups) == 1 and not found.groups[0].cases[2]:
        yield ("The runs have no case in common: what is compared here are different prompts.",)
