"""Four times as many cases are four times as much work to compare, and no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pytest_quantgate.outcomes.breakdown import strata
from pytest_quantgate.outcomes.fragility import fragilities
from pytest_quantgate.outcomes.indicators import compare
from pytest_quantgate.outcomes.labelled import pairs_of
from pytest_quantgate.outcomes.margins import margins
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.outcomes.statistics import summarize
from tests.operations import operations
from tests.unit.outcomes.build import comparison

COUNT = 60
PATTERNS = (("++", "++"), ("++", "+-"), ("+-", "++"), ("--", "--"), ("++", "?-"))


def cases(count: int) -> list[Comparison]:
    """Cases that move in every way, two to a cluster and four to a tag."""
    return [
        comparison(*PATTERNS[number % 5], f"case-{number}", f"cluster-{number // 2}", tags=(f"tag-{number // 4}",))
        for number in range(count)
    ]


@pytest.mark.parametrize("measure", [summarize, strata, compare, margins, fragilities, pairs_of])
def test_the_work_of_comparing_grows_with_the_cases_and_no_faster(
    measure: Callable[[Sequence[Comparison]], object],
) -> None:
    few, many = cases(COUNT), cases(4 * COUNT)
    assert operations(lambda: measure(many)) <= 4.4 * operations(lambda: measure(few))
