"""How well a check agrees with people: published examples, an independent oracle, and what must always hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from pytest_quantgate.outcomes.agreement import Confusion, agreement_of, difference_of, kappa
from pytest_quantgate.outcomes.intervals import Estimate, newcombe_paired, wilson
from pytest_quantgate.outcomes.labelled import Rating

Cells = tuple[int, int, int, int]

CELLS = st.tuples(*[st.integers(0, 40)] * 4)


def ratings(both: int, only_check: int, only_people: int, neither: int, weight: float = 1.0) -> list[Rating]:
    """So many labelled answers of each kind, each of a case of its own."""
    kinds = [(True, True)] * both + [(True, False)] * only_check + [(False, True)] * only_people
    kinds += [(False, False)] * neither
    return [Rating(check, people, weight, place) for place, (check, people) in enumerate(kinds)]


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.interval is not None
    return estimate.interval.low, estimate.interval.high


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        # Feinstein & Cicchetti (1990), J Clin Epidemiol 43: the same agreement of 85%, balanced and not
        ((40, 9, 6, 45), 0.70),
        ((80, 10, 5, 5), 0.32),
        # Sim & Wright (2005), Phys Ther 85: two raters of 39 patients
        ((22, 2, 4, 11), 0.67),
    ],
)
def test_kappa_is_what_was_published(cells: Cells, value: float) -> None:
    assert kappa(Confusion(*cells), sum(cells)).value == pytest.approx(value, abs=0.005)


@settings(max_examples=200, deadline=None)
@given(CELLS)
def test_kappa_and_its_interval_are_those_of_statsmodels(cells: Cells) -> None:
    both, only_check, only_people, neither = cells
    # where one of both says the same of everything, statsmodels divides by zero
    assume(all(0 < margin < sum(cells) for margin in (both + only_check, both + only_people)))
    found = kappa(Confusion(*cells), sum(cells))
    with np.errstate(invalid="ignore", divide="ignore"):  # its variance may be a little below 0
        oracle = cohens_kappa(np.array([[both, only_check], [only_people, neither]]))
    assert found.value == pytest.approx(oracle.kappa, abs=1e-9)
    if found.interval is None:
        assert oracle.var_kappa == pytest.approx(0, abs=1e-9)
    else:
        wanted = max(-1.0, oracle.kappa_low), min(1.0, oracle.kappa_upp)
        assert ends(found) == pytest.approx(wanted, abs=1e-6)


def test_kappa_is_undefined_where_everybody_always_says_the_same() -> None:
    found = agreement_of(ratings(30, 0, 0, 0))
    assert found.kappa.value is None
    assert found.kappa.undefined == "check and people say the same of every labelled answer: chance would as well"
    assert found.agreement == Estimate(1.0, wilson(30, 30))


def test_perfect_agreement_has_no_interval_of_kappa_since_its_standard_error_is_zero() -> None:
    assert agreement_of(ratings(10, 0, 0, 20)).kappa == Estimate(1.0)


def test_without_a_label_everything_is_undefined_and_says_why() -> None:
    found = agreement_of([])
    assert [each.undefined for each in (found.agreement, found.kappa, found.precision, found.recall)] == [
        "no answer is labelled"
    ] * 4
    assert difference_of([], []).undefined == "no case is labelled on both sides"


def test_precision_and_recall_have_denominators_of_their_own() -> None:
    found = agreement_of(ratings(8, 2, 8, 0))
    assert found.precision == Estimate(0.8, wilson(8, 10))
    assert found.recall == Estimate(0.5, wilson(8, 16))
    assert found.counts == Confusion(8, 2, 8, 0)
    assert agreement_of(ratings(0, 0, 3, 4)).precision.undefined == "the check follows none of the labelled answers"
    assert agreement_of(ratings(0, 3, 0, 4)).recall.undefined == (
        "people say of none of the labelled answers that it does what is asked"
    )


@settings(deadline=None)
@given(CELLS, st.floats(0.01, 1000))
def test_equal_weights_change_nothing(cells: Cells, weight: float) -> None:
    assume(sum(cells) > 0)
    plain, weighted = agreement_of(ratings(*cells)), agreement_of(ratings(*cells, weight=weight))
    assert weighted.counts == plain.counts
    for one, other in [
        (plain.agreement, weighted.agreement),
        (plain.precision, weighted.precision),
        (plain.recall, weighted.recall),
    ]:
        assert other.value == pytest.approx(one.value)
        assert (other.interval is None) == (one.interval is None)
        if one.interval is not None:
            assert ends(other) == pytest.approx(ends(one))


@settings(deadline=None)
@given(CELLS, st.integers(1, 5))
def test_a_label_that_stands_for_more_answers_counts_for_more_and_is_worth_no_more(cells: Cells, times: int) -> None:
    assume(sum(cells) > 0)
    some = ratings(*cells)
    heavy = [Rating(each.followed, each.label, float(times if each.label else 1), each.group) for each in some]
    found = agreement_of(heavy).agreement
    people, rest = cells[0] + cells[2], cells[1] + cells[3]
    right = times * cells[0] + cells[3]
    assert found.value == pytest.approx(right / (times * people + rest))
    assert found.value is not None
    effective = (times * people + rest) ** 2 / (times**2 * people + rest)
    oracle = wilson(min(found.value * effective, effective), effective)
    assert oracle is not None
    assert ends(found) == pytest.approx((oracle.low, oracle.high))
    assert effective <= sum(cells) + 1e-9


@settings(deadline=None)
@given(CELLS)
def test_all_estimates_lie_in_their_intervals_and_turning_yes_into_no_keeps_agreement_and_kappa(cells: Cells) -> None:
    assume(sum(cells) > 0)
    found, turned = agreement_of(ratings(*cells)), agreement_of(ratings(*reversed(cells)))
    for each in (found.agreement, found.kappa, found.precision, found.recall):
        assert (each.value is None) == (each.undefined is not None)
        if each.interval is not None and each.value is not None:
            assert each.interval.low - 1e-9 <= each.value <= each.interval.high + 1e-9
    assert turned.agreement.value == pytest.approx(found.agreement.value)
    assert (turned.kappa.value is None) == (found.kappa.value is None)
    if found.kappa.value is not None:
        assert turned.kappa.value == pytest.approx(found.kappa.value)


def test_answers_of_one_cluster_are_worth_less_than_as_many_alone() -> None:
    alone = ratings(40, 0, 20, 0)
    shared = [Rating(each.followed, each.label, 1.0, place // 4) for place, each in enumerate(alone)]
    narrow, wide = ends(agreement_of(alone).agreement), ends(agreement_of(shared).agreement)
    assert wide[0] < narrow[0]
    assert wide[1] > narrow[1]


def paired(pattern: Sequence[tuple[bool, bool]]) -> tuple[list[Rating], list[Rating]]:
    """Cases on whose answers check and people agree, or do not: of the reference, of the candidate."""
    first = [Rating(before, label=True, weight=1.0, group=place) for place, (before, _) in enumerate(pattern)]
    return first, [Rating(after, label=True, weight=1.0, group=place) for place, (_, after) in enumerate(pattern)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_difference_is_paired_by_case(pattern: list[tuple[bool, bool]]) -> None:
    found = difference_of(*paired(pattern))
    before, after = ([float(pair[side]) for pair in pattern] for side in (0, 1))
    assert found.value == pytest.approx(sum(after) / len(after) - sum(before) / len(before))
    oracle = newcombe_paired(after, before)
    assert oracle is not None
    assert ends(found) == pytest.approx((oracle.low, oracle.high))


def test_a_case_that_stands_for_others_moves_the_difference_by_its_weight() -> None:
    first, second = paired([(True, False), (True, True)])
    heavy = [
        [replace(each, weight=weight) for each, weight in zip(side, (3.0, 1.0), strict=True)]
        for side in (first, second)
    ]
    assert difference_of(*heavy).value == pytest.approx(-0.75)
