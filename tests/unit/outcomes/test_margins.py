"""The reference's decision margin where the candidate parts from it."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from pytest_quantgate.cases.model import CheckSpec, Turn
from pytest_quantgate.outcomes.intervals import Estimate, wilson
from pytest_quantgate.outcomes.margins import Margins, Parting, margins
from pytest_quantgate.outcomes.model import Comparison, Outcome
from tests.unit.outcomes.build import case, outcome

NONE_PARTS = Parting(0, 0, None, Estimate(None, None, "no answer parts from the reference's"))
NONE_KNOWN = Estimate(None, None, "no margin was measured")


def parting(
    known: tuple[float, ...],
    tokens: tuple[int, ...] = (1, 2, 3),
    other: tuple[int, ...] = (1, 2, 4),
    *,
    after: str = "-",
    cluster: str | None = None,
) -> Comparison:
    return Comparison(
        case(cluster=cluster), outcome("+", tokens=tokens, margins=known), outcome(after, tokens=other, text="another")
    )


def test_degraded_and_preserved_cases_are_told_apart() -> None:
    found = margins(
        [
            parting((9.0, 9.0, 0.05)),
            parting((9.0, 9.0, 0.2)),
            parting((9.0, 9.0, 0.03)),
            parting((9.0, 9.0, 4.0), after="+"),
            parting((9.0, 0.0, 9.0), other=(1, 2, 3), after="+"),  # does not part
        ]
    )

    assert found == Margins(
        degraded=Parting(3, 3, 0.05, Estimate(2 / 3, wilson(2, 3))),
        preserved=Parting(1, 1, 4.0, Estimate(0.0, wilson(0, 1))),
    )


def test_failing_improved_and_unscored_cases_do_not_count() -> None:
    sides = [("-", "-"), ("-", "+"), ("+", "?")]
    cases = [Comparison(case(), outcome(old, margins=(1.0, 1.0)), outcome(new, tokens=(3, 4))) for old, new in sides]

    assert margins(cases) == Margins(NONE_PARTS, NONE_PARTS)
    assert margins([]) == Margins(NONE_PARTS, NONE_PARTS)


def test_a_candidate_that_stops_early_leaves_the_references_next_token() -> None:
    assert margins([parting((9.0, 0.01, 9.0), other=(1,))]).degraded.median == 0.01


@pytest.mark.parametrize(
    "case_",
    [
        parting(()),  # recorded without margins
        parting((9.0, 9.0, nan)),
        parting((9.0, 9.0, inf)),
        parting((9.0, 9.0, 9.0), other=(1, 2, 3, 4)),  # the reference stopped: the margin of stopping is not kept
        parting((9.0, 9.0, 9.0), other=()),  # recorded as text alone
        parting((), tokens=()),
    ],
)
def test_a_margin_that_was_not_measured_is_none_and_the_case_still_parts(case_: Comparison) -> None:
    assert margins([case_]).degraded == Parting(1, 0, None, NONE_KNOWN)


def test_answers_recorded_as_text_alone_part_where_their_texts_differ() -> None:
    same = Comparison(case(), outcome("+", margins=(1.0, 1.0)), outcome("+", tokens=()))
    other = Comparison(case(), outcome("+", margins=(1.0, 1.0)), outcome("+", tokens=(), text="other"))

    assert margins([same]).preserved == NONE_PARTS
    assert margins([other]).preserved.parted == 1


def test_of_several_turns_the_first_that_parts_counts() -> None:
    same, first, second = outcome("+"), outcome("+", margins=(0.5, 9.0)), outcome("-", tokens=(7, 2))
    later = (Turn("Again.", (CheckSpec("check1"),), 8),) * 2
    asked = replace(case(), later=later)
    before = Outcome(same.completion, same.results * 3, passed=True, turns=(same, first, first))
    after = Outcome(same.completion, same.results * 3, passed=False, turns=(same, second, second))

    assert margins([Comparison(asked, before, after)]).degraded.median == 0.5


def test_cases_of_one_cluster_say_less_of_the_share_of_near_ties() -> None:
    near = [parting((9.0, 9.0, 0.01), cluster="a")] * 4
    far = [parting((9.0, 9.0, 5.0), cluster="b")] * 4

    assert margins(near + far).degraded.near_ties == Estimate(0.5, wilson(1, 2))
