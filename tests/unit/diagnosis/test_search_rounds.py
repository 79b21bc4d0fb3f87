"""A search learns where decoded answers go wrong, and goes on from there."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantgate.diagnosis import clock, orders, screening
from pytest_quantgate.diagnosis import search as search_module
from pytest_quantgate.diagnosis.decoding import outcomes
from pytest_quantgate.diagnosis.search import ranked
from pytest_quantgate.diagnosis.sensitivity import attribute
from pytest_quantgate.outcomes.model import Transition
from tests.unit.diagnosis.broken_pair import BROKEN, Pair, modules


def test_where_whole_answers_go_wrong_is_looked_at_in_another_round(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few points show one of the two broken layers; answers with that one kept show the other."""
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    before = [modules(each) for each in (pair.reference, pair.candidate)]
    found = pair.search()
    assert found.chosen is not None
    assert set(found.chosen.kept) == {name.removeprefix("model.") for name in BROKEN}
    assert (found.chosen.turned_back, found.chosen.lost) == (degraded, 0)
    assert any(trial.way == "first-order effect on the cases, round 2" for trial in found.trials)
    first = next(trial for trial in found.trials if trial.stage == "decoded")
    assert (set(first.kept), first.way) == ({BROKEN[0].removeprefix("model.")}, "first-order effect on the cases")
    assert 0 < first.turned_back < degraded
    assert not any(trial.way.endswith("round 3") for trial in found.trials)  # nothing goes wrong any more
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before


def test_a_round_that_is_cut_short_is_told_and_takes_nothing_away(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def late(*given: Any, layers: Any = None) -> Any:
        if layers is not None:
            now[0] = 10.0 * 60
        return attribute(*given, layers=layers)

    monkeypatch.setattr(orders, "attribute", late)
    found = pair.search(minutes=10)
    assert found.chosen is not None
    assert found.chosen in ranked(found.trials)
    assert not any("round" in trial.way for trial in found.trials)
    assert found.reason.endswith("preserved ones fail; round 2 was cut short by the limit of 10 minutes")


def test_a_round_that_breaks_off_takes_nothing_away(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    before = [modules(each) for each in (pair.reference, pair.candidate)]

    def fail(*given: Any, layers: Any = None) -> Any:
        if layers is not None:
            raise RuntimeError("DefaultCPUAllocator: can't allocate")
        return attribute(*given)

    monkeypatch.setattr(orders, "attribute", fail)
    found = pair.search()
    assert found.chosen is not None
    assert found.reason.endswith("preserved ones fail; round 2 broke off: memory ran out")
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before


def test_what_was_screened_before_a_round_was_cut_short_is_decoded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    now, late = [0.0], [0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def slow(*given: Any) -> Any:
        now[0] += 10
        return outcomes(*given)

    monkeypatch.setattr(search_module, "outcomes", slow)
    tried = screening.Screen.tried

    def once(self: Any, *given: Any) -> Any:
        found = tried(self, *given)
        late[0] += bool(late[0])
        if late[0] > 3:  # what was decoded before, and something new
            now[0] = 585.0  # of 600 seconds; 20 are reserved for decoding
        return found

    def begun(*given: Any, layers: Any = None) -> Any:
        late[0] = int(layers is not None)
        return attribute(*given, layers=layers)

    monkeypatch.setattr(screening.Screen, "tried", once)
    monkeypatch.setattr(orders, "attribute", begun)
    found = pair.search(minutes=10)
    assert any(trial.stage == "decoded" and "round 2" in trial.way for trial in found.trials)
    assert found.reason.endswith("round 2 was cut short by the limit of 10 minutes")


def test_layers_that_are_not_dense_have_rounds_too(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an effect of each layer the other orders are tried once more, by what was learned."""
    monkeypatch.setattr(screening, "MOST_TOKENS", 60)
    monkeypatch.setattr(orders, "attribute", lambda *given, layers=None: None if layers else attribute(*given))
    ways = {trial.way for trial in pair.search().trials}
    assert {"early layers", "early layers, round 2", "kurtosis of weights, round 2"} <= ways
