"""Where changes are: by tag, category, number of checks, boundary distance and cluster."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.outcomes.breakdown import Stratum, strata
from pytest_quantgate.outcomes.intervals import wilson
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.outcomes.statistics import summarize
from pytest_quantgate.outcomes.transitions import TransitionCounts
from tests.unit.outcomes.build import comparison

NAMES = ["json", "length_constraints:number_words", "length_constraints:number_sentences", "punctuation:no_comma"]

patterns = st.integers(1, 4).flatmap(
    lambda size: st.tuples(*[st.text("+-?", min_size=size, max_size=size)] * 2, st.sampled_from([NAMES[:size]]))
)
cases = st.lists(
    st.tuples(patterns, st.sampled_from([None, "a", "b"]), st.sampled_from([(), ("x",), ("x", "y")])), max_size=16
).map(
    lambda drawn: [
        comparison(before, after, f"case{number}", cluster, tags=tags, names=names)
        for number, ((before, after, names), cluster, tags) in enumerate(drawn)
    ]
)


def named(found: tuple[Stratum, ...], kind: str) -> dict[str, TransitionCounts]:
    return {each.name: each.statistics.counts for each in found if each.kind == kind}


def test_a_case_belongs_to_each_of_its_tags_and_to_the_category_of_each_of_its_checks() -> None:
    found = strata(
        [
            comparison("+++", "++-", tags=("flat", "json"), names=NAMES[:3]),
            comparison("+", "+", tags=("json",), names=["json"]),
        ]
    )

    assert named(found, "tag") == {"flat": TransitionCounts(0, 0, 1, 0), "json": TransitionCounts(1, 0, 1, 0)}
    assert named(found, "category") == {
        "json": TransitionCounts(1, 0, 1, 0),
        "length_constraints": TransitionCounts(0, 0, 1, 0),
    }


def test_strata_come_by_kind_then_by_name_or_number() -> None:
    found = strata([comparison("+" * size, "+" * size, cluster="c", tags=("b", "a")) for size in (12, 2)])

    assert [(each.kind, each.name) for each in found if each.kind != "category"] == [
        ("tag", "a"),
        ("tag", "b"),
        ("checks", "2"),
        ("checks", "12"),
        ("boundary", "0.4-0.5"),
        ("cluster", "c"),
    ]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("+", "0.4-0.5"),
        ("-", "0.4-0.5"),
        ("+-", "0.0-0.1"),
        ("++-", "0.1-0.2"),
        ("+++--", "0.1-0.2"),  # 0.6 - 0.5 is below 0.1 in floating point
        ("++++-", "0.3-0.4"),
        ("-----+++++---", "0.1-0.2"),
        ("+++++++---", "0.2-0.3"),
        ("+++++++++-", "0.4-0.5"),
    ],
)
def test_boundary_distance_is_how_far_the_references_compliance_is_from_a_half(pattern: str, name: str) -> None:
    assert list(named(strata([comparison(pattern, pattern)]), "boundary")) == [name]


def test_a_case_that_the_reference_left_unscored_has_no_boundary_distance() -> None:
    found = strata([comparison("+?", "++"), comparison("++", "+?")])

    (stratum,) = [each for each in found if each.kind == "boundary"]
    assert (stratum.statistics.counts.n, stratum.statistics.unscored) == (0, 1)
    assert stratum.statistics.pass_to_fail.value is None


def test_only_clusters_of_two_are_told() -> None:
    found = strata([comparison("+", "-", cluster=cluster) for cluster in ("a", "b", "b", None, None)])

    assert named(found, "cluster") == {"b": TransitionCounts(0, 0, 2, 0)}


def test_table_3_of_the_paper_holds_by_construction() -> None:
    """PASS→FAIL by boundary distance of Mistral: 0.0% of 164, 0.0% of 202, 10.9% of 634."""
    failing = [("+-", 164), ("++-", 202)]
    found = [comparison(pattern, pattern) for pattern, number in failing for _ in range(number)]
    found += [comparison("+", "-")] * 69 + [comparison("+", "+")] * 198 + [comparison("-", "-")] * (634 - 69 - 198)
    bins = {each.name: each.statistics for each in strata(found) if each.kind == "boundary"}

    assert {name: each.counts.n for name, each in bins.items()} == {"0.0-0.1": 164, "0.1-0.2": 202, "0.4-0.5": 634}
    assert [each.pass_to_fail.value for each in bins.values()] == [0, 0, 69 / 634]
    assert bins["0.4-0.5"].pass_to_fail.value == pytest.approx(0.109, abs=5e-4)
    assert bins["0.4-0.5"].pass_to_fail.interval == wilson(69, 634)


def test_table_4_of_the_paper_is_instability_and_pass_to_fail_by_number_of_checks() -> None:
    """Its row "2 instructions": 16.8% unstable, 9.9% PASS→FAIL, which 333 cases give with 33 PF and 23 FP."""
    found = [comparison("++", "+-")] * 33 + [comparison("+-", "++")] * 23 + [comparison("--", "--")] * 277
    found += [comparison("+", "+")] * 5
    (one, two) = (each.statistics for each in strata(found) if each.kind == "checks")

    assert (one.counts.n, two.counts.n) == (5, 333)
    assert two.pass_to_fail.value == pytest.approx(0.099, abs=5e-4)
    assert two.stability.value == pytest.approx(1 - 0.168, abs=5e-4)


@given(cases)
def test_numbers_of_checks_and_boundary_distances_divide_the_slice(found: list[Comparison]) -> None:
    whole = summarize(found, resample=False)
    parts = strata(found)
    for kind in ("checks", "boundary"):
        counts = named(parts, kind).values()
        added = tuple(sum(getattr(each, name) for each in counts) for name in ("pp", "ff", "pf", "fp"))
        assert TransitionCounts(*added) == whole.counts
    assert sum(each.statistics.unscored for each in parts if each.kind == "checks") == whole.unscored
    degraded = {name: counts.pf for name, counts in named(parts, "boundary").items()}
    assert degraded.get("0.4-0.5", 0) == whole.counts.pf  # strict grading: by construction


@given(cases)
def test_swapping_the_sides_swaps_degraded_and_improved_in_every_stratum(found: list[Comparison]) -> None:
    forth = strata(found)
    back = strata(Comparison(each.case, each.candidate, each.reference) for each in found)
    for kind in ("tag", "category", "checks", "cluster"):
        swapped = {
            name: TransitionCounts(each.pp, each.ff, each.fp, each.pf) for name, each in named(back, kind).items()
        }
        assert swapped == named(forth, kind)


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(found: list[Comparison], chance: random.Random) -> None:
    assert strata(chance.sample(found, len(found))) == strata(found)


def test_nothing_has_no_strata() -> None:
    assert strata([]) == ()
