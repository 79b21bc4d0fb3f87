from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.outcomes.fragility import fragilities
from pytest_quantgate.outcomes.intervals import Estimate, wilson
from tests.unit.outcomes.build import comparison

NAMES = ["punctuation:no_comma", "keywords:existence", "keywords:frequency"]


def test_it_is_the_share_that_the_candidate_violates_of_what_the_reference_followed() -> None:
    found = fragilities(
        [
            comparison("+++", "-++", names=NAMES),
            comparison("+-+", "++-", names=NAMES),
            comparison("-++", "+++", names=NAMES),
        ]
    )

    assert [(each.category, each.followed, each.violated) for each in found] == [
        ("punctuation", 2, 1),
        ("keywords", 5, 1),
    ]
    assert found[0].share == Estimate(0.5, wilson(1, 2))


def test_a_case_that_failed_anyway_counts_but_an_unscored_one_does_not() -> None:
    found = fragilities([comparison("+-", "--", names=NAMES[:2]), comparison("++", "-?", names=NAMES[:2])])

    assert [(each.category, each.followed, each.violated) for each in found] == [
        ("punctuation", 1, 1),
        ("keywords", 0, 0),
    ]
    assert found[1].share == Estimate(None, None, "the reference followed no check of this category")


def test_checks_that_share_a_case_say_less_than_as_many_in_different_cases() -> None:
    sides = [("++", "--")] * 10 + [("++", "++")] * 10
    names = ["keywords:existence", "keywords:frequency"]
    (together,) = fragilities([comparison(*each, str(n), names=names) for n, each in enumerate(sides)])

    assert together.share.value == 0.5
    inner, outer = wilson(20, 40), together.share.interval
    assert inner is not None
    assert outer is not None
    assert outer.low < inner.low < inner.high < outer.high


def test_table_5_of_the_paper_is_a_ranking_of_categories() -> None:
    """Fragility of Mistral: punctuation 0.490, combination 0.473, keywords 0.372, from as many checks as give them."""
    broken = {"punctuation:no_comma": (24, 49), "combination:two_responses": (26, 55), "keywords:existence": (16, 43)}
    found = fragilities(
        comparison("+", "-" if number < violated else "+", names=[name])
        for name, (violated, followed) in reversed(broken.items())
        for number in range(followed)
    )

    assert [each.category for each in found] == ["punctuation", "combination", "keywords"]
    assert [each.share.value for each in found] == pytest.approx([0.490, 0.473, 0.372], abs=5e-4)


@given(
    st.lists(st.tuples(*[st.text("+-?", min_size=3, max_size=3)] * 2), max_size=20), st.randoms(use_true_random=False)
)
def test_nobody_violates_more_than_was_followed_and_the_order_does_not_matter(
    sides: list[tuple[str, str]], chance: random.Random
) -> None:
    cases = [comparison(*each, str(number), names=NAMES) for number, each in enumerate(sides)]
    found = fragilities(cases)

    assert all(0 <= each.violated <= each.followed for each in found)
    assert all((each.share.value is None) == (each.followed == 0) for each in found)
    assert fragilities(chance.sample(cases, len(cases))) == found
