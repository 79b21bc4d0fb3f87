"""The search on a candidate that is broken in known layers: it finds these, and says why when it finds none."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_quantgate.cases.model import CheckSpec, Message, Turn
from pytest_quantgate.diagnosis import screening
from pytest_quantgate.diagnosis import search as search_module
from pytest_quantgate.diagnosis.decoding import outcomes
from pytest_quantgate.diagnosis.donors import Brought
from pytest_quantgate.diagnosis.model import Mode, Stage, Trial
from pytest_quantgate.diagnosis.search import ranked
from pytest_quantgate.outcomes.model import Transition
from tests.tiny_model import CONTEXT
from tests.unit.diagnosis.broken_pair import BROKEN, REGISTRY, SPEC, Pair, modules, named, pair_of


def test_it_finds_exactly_what_is_broken_and_decodes_it(pair: Pair) -> None:
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    preserved = sum(each.transition is Transition.PRESERVED for each in pair.comparisons)
    assert degraded >= 4
    assert preserved >= 4
    before = [modules(each) for each in (pair.reference, pair.candidate)]
    found = pair.search()
    chosen = found.chosen
    assert chosen is not None
    assert set(chosen.kept) == {name.removeprefix("model.") for name in BROKEN}
    assert (chosen.stage, chosen.degraded, chosen.preserved) == ("decoded", degraded, preserved)
    assert (chosen.turned_back, chosen.lost) == (degraded, 0)
    assert chosen in ranked(found.trials)
    assert found.reason == (
        f"{degraded} of {degraded} degraded cases pass again at {chosen.bits:.2f} bits a weight, and "
        f"0 of {preserved} preserved ones fail"
    )
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before
    assert (found.before.spec, found.before.bits, found.before.stage) == (SPEC, 3.5, "verified")
    assert found.before.memory_bytes == pair.candidate.audit.memory_bytes
    assert all(found.before.bits < trial.bits <= 5.5 for trial in found.trials if trial.kept)
    others = [trial.way for trial in found.trials if trial.way.endswith("(no variant does so)")]
    assert [way.partition(" by ")[0] for way in others] == [
        "most confident layer amplified",
        f"{chosen.way}, and most confident layer amplified",
        "errors compensated",
    ]
    assert {trial.stage for trial in found.trials} == {"screened", "decoded"}


def test_what_is_decoded_has_points_or_is_short(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    monkeypatch.setattr(search_module, "DECODED_TOKENS", 0)
    decoded = [trial for trial in pair.search(cases=6).trials if trial.stage == "decoded"]
    assert {(trial.degraded, trial.preserved) for trial in decoded} == {(3, 3)}
    monkeypatch.setattr(search_module, "DECODED_TOKENS", 10_000)
    decoded = [trial for trial in pair.search(cases=6).trials if trial.stage == "decoded"]
    assert {trial.degraded + trial.preserved for trial in decoded} == {len(pair.comparisons)}


def test_a_collapse_is_given_up_with_what_was_tried(pair: Pair) -> None:
    found = pair.search(Mode.COLLAPSE, max_bits=3.8)
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    assert found.chosen is None
    protections = [trial for trial in found.trials if trial.kept]
    assert protections
    assert all(trial.spec.startswith("mix:") and trial.stage == "screened" for trial in protections)
    best = max(trial.turned_back - trial.lost for trial in protections)
    assert 2 * best < degraded
    assert found.reason.startswith(
        f"protection does not help a collapse: the best of {len(protections)} protections within 3.8 bits a weight "
        f"turns {best} of {degraded} cases back and loses 0 of "
    )
    assert "(first-order effect on the cases, early layers, " in found.reason
    others = [trial for trial in found.trials if not trial.kept]
    assert [trial.way.partition(" by ")[0] for trial in others] == ["most confident layer amplified"]
    assert {trial.spec for trial in others} == {SPEC}
    assert pair.search(Mode.COLLAPSE, max_bits=3.8) == found


def test_variants_that_compute_in_different_dtypes_are_searched_too(pair: Pair) -> None:
    candidate = replace(pair.candidate, model=deepcopy(pair.candidate.model).bfloat16())
    mixed = pair_of(pair.reference, candidate)
    before = [modules(each) for each in (mixed.reference, mixed.candidate)]
    found = mixed.search()
    chosen = found.chosen
    assert chosen is not None
    assert 2 * chosen.turned_back > chosen.degraded
    assert "errors compensated" in {trial.way.partition(" by ")[0] for trial in found.trials}
    assert [modules(each) for each in (mixed.reference, mixed.candidate)] == before
    assert {each.dtype for each in candidate.model.parameters()} == {torch.bfloat16}
    assert {each.dtype for each in pair.reference.model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("spec", "rounded"), [("fp16", False), ("fp32", True), ("bf16", True)])
def test_what_is_kept_as_fp16_is_rounded_where_the_reference_is_not(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, spec: str, *, rounded: bool
) -> None:
    asked = []

    class Spied(Brought):
        def __init__(self, reference: torch.nn.Module, candidate: Any, *, rounded: bool = False) -> None:
            asked.append(rounded)
            super().__init__(reference, candidate, rounded=rounded)

    monkeypatch.setattr(search_module, "Brought", Spied)
    replace(pair, reference=named(pair.reference, spec)).search(minutes=0)
    assert asked == [rounded]


def test_decoded_trials_are_ranked_by_cases_and_then_by_bits() -> None:
    def trial(bits: float, turned_back: int, lost: int, stage: Stage = "decoded") -> Trial:
        return Trial("nf4", (), bits, None, turned_back, 9, lost, 9, stage, "by hand")

    trials = [trial(5.0, 4, 0), trial(4.8, 6, 2), trial(5.2, 5, 0), trial(4.9, 1, 1), trial(4.6, 9, 0, "screened")]
    assert ranked(trials) == (trials[2], trials[1], trials[0])


def test_all_turns_of_a_case_are_answered_and_a_case_without_an_answer_is_unscored(pair: Pair) -> None:
    first = pair.comparisons[0].case
    chat = replace(first, later=(Turn("bal", (CheckSpec("exact", {"text": "no such answer"}),), 2),))
    long = replace(first, id="long", messages=(Message("user", "bal " * CONTEXT),))
    found = outcomes(pair.reference, [first, replace(chat, id="chat"), long], REGISTRY, lambda _: None)
    assert {name: each.passed for name, each in found.items()} == {first.id: True, "chat": False, "long": None}
