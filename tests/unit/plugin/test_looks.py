from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.plugin.book import CaseRef
from pytest_quantgate.plugin.looks import Looks
from pytest_quantgate.plugin.tally import Tally
from tests.operations import operations


def run_of(slices: int, *, in_vain: bool = False) -> Any:
    """A run of slices of two cases for two candidates; of every other one, a case is not selected."""
    tally = Tally()
    cases = [Case(name, (Message("user", "say it"),), (CheckSpec("exact", {"text": "it"}),), 4) for name in "ab"]
    for number in range(slices):
        for spec in ("nf4", "int8"):
            for case in cases[number % 2 :]:
                ref = CaseRef(f"words-{number}", case, spec)
                tally.select(f"{ref.slice}::{case.id}[{spec}]", ref, gated=True)
    book = SimpleNamespace(named=lambda _: SimpleNamespace(cases=cases))
    return SimpleNamespace(tally=tally, book=book, answers=SimpleNamespace(in_vain=in_vain))


def test_controls_are_asked_whole_slices_and_none_where_nobody_can_be_compared() -> None:
    assert Looks(run_of(5)).controlled == ["words-0", "words-2", "words-4"]
    assert Looks(run_of(5, in_vain=True)).controlled == []


def test_the_work_of_finding_them_grows_with_the_slices_and_no_faster() -> None:
    few, many = Looks(run_of(40)), Looks(run_of(160))
    assert operations(lambda: many.controlled) <= 4.4 * operations(lambda: few.controlled)
