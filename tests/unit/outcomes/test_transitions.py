from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_quantgate
from pytest_quantgate.outcomes.transitions import TransitionCounts, count
from tests.unit.outcomes.build import comparison, comparisons

LLAMA = TransitionCounts(pp=224, ff=633, pf=83, fp=60)
MISTRAL = TransitionCounts(pp=198, ff=667, pf=69, fp=66)

patterns = st.text("+-?", min_size=3, max_size=3)
pairs = st.lists(st.tuples(patterns, patterns), max_size=40)


@pytest.mark.parametrize(
    ("counts", "stability", "reference", "candidate"),
    [(LLAMA, 0.857, 0.307, 0.284), (MISTRAL, 0.865, 0.267, 0.264)],
    ids=["llama", "mistral"],
)
def test_the_papers_counts_give_the_papers_rates(
    counts: TransitionCounts, stability: float, reference: float, candidate: float
) -> None:
    assert counts.n == 1000
    assert counts.stability == stability
    assert counts.reference_pass_rate == reference
    assert counts.candidate_pass_rate == candidate
    assert counts.net_change == pytest.approx(candidate - reference)


@pytest.mark.parametrize(("counts", "printed"), [(LLAMA, "85.7%"), (MISTRAL, "86.5%")], ids=["llama", "mistral"])
def test_the_paper_prints_the_stability_of_the_definition(counts: TransitionCounts, printed: str) -> None:
    assert f"{counts.stability:.1%}" == printed


def test_it_is_public() -> None:
    assert pytest_quantgate.TransitionCounts is TransitionCounts


@pytest.mark.parametrize("name", ["pp", "ff", "pf", "fp"])
def test_a_negative_count_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} counts cases: -1 is negative$"):
        TransitionCounts(**{"pp": 1, "ff": 1, "pf": 1, "fp": 1, name: -1})


@pytest.mark.parametrize("value", [1.0, "1", None, True, float("nan")])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^pf counts cases: .+ is not an int$"):
        TransitionCounts(1, 1, value, 1)


def test_pass_to_fail_is_a_share_of_all_cases_and_loss_a_share_of_what_the_reference_passed() -> None:
    assert LLAMA.pass_to_fail_rate == 83 / 1000
    assert LLAMA.loss_rate == 83 / 307


def test_every_rate_is_undefined_without_cases() -> None:
    empty = count([])

    assert empty.n == 0
    assert empty.stability is None
    assert empty.pass_to_fail_rate is None
    assert empty.loss_rate is None
    assert empty.net_change is None
    assert empty.reference_pass_rate is None
    assert empty.candidate_pass_rate is None


def test_the_loss_rate_is_undefined_when_the_reference_passes_nothing() -> None:
    counts = TransitionCounts(pp=0, ff=5, pf=0, fp=2)

    assert counts.loss_rate is None
    assert counts.pass_to_fail_rate == 0


def test_unscored_cases_enter_no_count() -> None:
    assert count(comparisons(pp=1, ff=2, pf=3, fp=4, unscored=5)) == TransitionCounts(1, 2, 3, 4)


@given(pairs)
def test_counts_add_up_to_the_scored_cases(sides: list[tuple[str, str]]) -> None:
    counts = count(comparison(before, after) for before, after in sides)

    assert counts.n == sum("?" not in before + after for before, after in sides)


@given(pairs)
def test_swapping_reference_and_candidate_swaps_degraded_and_improved(sides: list[tuple[str, str]]) -> None:
    forth = count(comparison(before, after) for before, after in sides)
    back = count(comparison(after, before) for before, after in sides)

    assert (back.pp, back.ff, back.pf, back.fp) == (forth.pp, forth.ff, forth.fp, forth.pf)
    assert back.stability == forth.stability
    assert back.reference_pass_rate == forth.candidate_pass_rate
