"""The way of the search, on points that are known to turn when certain layers are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from torch import nn

from pytest_quantgate.cases.model import Case
from pytest_quantgate.diagnosis import clock
from pytest_quantgate.diagnosis import trials as trials_module
from pytest_quantgate.diagnosis.clock import Clock, TimeUpError
from pytest_quantgate.diagnosis.protection import Stored
from pytest_quantgate.diagnosis.screening import Screened
from pytest_quantgate.diagnosis.strategy import DECODED, promising, screen_all
from pytest_quantgate.diagnosis.trials import Cases, Keeping, Subject, Trials
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.variants.mix import FP16
from pytest_quantgate.variants.spec import VariantSpec

NAMES = tuple(f"layers.{number}.mlp.down_proj" for number in range(40))
WEIGHTS = 1_000
EIGHT = VariantSpec("rtn", scheme="8bit-g64")
NOTHING = nn.Module()
EIGHT_BITS, SIXTEEN_BITS = Keeping(EIGHT, 8.0, lambda _: NOTHING), Keeping(FP16, 16.0, lambda _: NOTHING)


class Known:
    """A screen whose points need known layers; one that is preserved is lost when any of its layers is kept."""

    def __init__(self, needed: dict[str, set[str]], harmed: dict[str, set[str]] | None = None) -> None:
        self._needed = needed
        self._harmed = harmed or {}
        self.asked = 0

    @property
    def degraded_cases(self) -> frozenset[str]:
        return frozenset(self._needed)

    @property
    def preserved_cases(self) -> frozenset[str]:
        return frozenset(self._harmed)

    def tried(self, _: nn.Module, names: Sequence[str]) -> Screened:
        self.asked += 1
        return Screened(
            frozenset(each for each, needed in self._needed.items() if needed <= set(names)),
            frozenset(each for each, harmed in self._harmed.items() if harmed & set(names)),
        )


def trials_of(
    screen: Any, *, max_bits: float = 6.0, outcomes: Callable[[Sequence[Case]], dict[str, Outcome]] = lambda _: {}
) -> Trials:
    stored = Stored(dict.fromkeys(NAMES, WEIGHTS), dict.fromkeys(NAMES, 4.0), 20_000)
    subject = Subject(VariantSpec("nf4"), NOTHING, stored, (*NAMES, "lm_head"), "lm_head")
    return Trials(subject, screen, Cases((), (), outcomes), max_bits, Clock())


def mixed(screen: Any) -> Trials:
    """Of a candidate whose second layer has 9 bits, and all others 4."""
    bits = dict.fromkeys(NAMES, 4.0) | {NAMES[1]: 9.0}
    stored = Stored(dict.fromkeys(NAMES, WEIGHTS), bits, 20_000)
    spec = VariantSpec("mix", scheme=f"{NAMES[1]}=rtn:8bit-g32;*=nf4")
    subject = Subject(spec, NOTHING, stored, (*NAMES, "lm_head"), "lm_head")
    return Trials(subject, screen, Cases((), (), lambda _: {}), 6.0, Clock())


def run(trials: Trials, *orders: Sequence[str], collapsed: bool = False) -> None:
    named = {f"order {number}": order for number, order in enumerate(orders)}
    screen_all(trials, (EIGHT_BITS, SIXTEEN_BITS), lambda _: named, collapsed=collapsed)


def test_the_budget_has_room_for_so_many_layers() -> None:
    trials = trials_of(Known({}))
    assert len(trials.within_budget(NAMES, EIGHT_BITS)) == 20  # 2 of 4 bits more
    assert len(trials.within_budget(NAMES, SIXTEEN_BITS)) == 6  # 2 of 12
    assert trials.within_budget(NAMES, EIGHT_BITS) == NAMES[:20]


def test_a_layer_that_is_too_large_alone_is_passed_over() -> None:
    weights = {"layers.0.up_proj": 900, "layers.0.v_proj": 50, "layers.1.v_proj": 60, "layers.2.v_proj": 10}
    stored = Stored(weights, dict.fromkeys(weights, 4.0), 1_000)
    subject = Subject(VariantSpec("nf4"), NOTHING, stored, tuple(weights), "lm_head")
    screen: Any = Known({})
    trials = Trials(subject, screen, Cases((), (), lambda _: {}), 4.4, Clock())  # room for 102 weights
    assert trials.within_budget(weights, EIGHT_BITS) == ("layers.0.v_proj",)


def test_it_ends_with_what_is_needed_and_no_more() -> None:
    needed = {"a": {NAMES[3]}, "b": {NAMES[3], NAMES[11]}}
    screen = Known(needed)
    trials = trials_of(screen)
    run(trials, NAMES, NAMES[::-1])
    best = trials.best
    assert best is not None
    assert set(best.names) == needed["b"]
    assert (best.keeping, best.trial.turned_back, best.trial.degraded) == (EIGHT_BITS, 2, 2)
    assert best.trial.bits == 4 + 2 * 4 / 40
    assert best.trial.spec == "mix:layers.3=rtn:8bit-g64;layers.11=rtn:8bit-g64;*=nf4"
    assert screen.asked == len(trials.screened) < 30


def test_what_turns_different_cases_is_put_together() -> None:
    needed = {"a": {NAMES[0]}, "b": {NAMES[2]}, "c": {NAMES[39]}}
    trials = trials_of(Known(needed))
    run(trials, NAMES, NAMES[::-1])
    best = trials.best
    assert best is not None
    assert set(best.names) == {NAMES[0], NAMES[2], NAMES[39]}
    assert best.trial.way == "order 0, and order 1"


def test_a_layer_that_loses_a_preserved_case_is_left_out() -> None:
    trials = trials_of(Known({"a": {NAMES[0]}, "b": {NAMES[1]}}, {"c": {NAMES[4]}}))
    run(trials, NAMES)
    best = trials.best
    assert best is not None
    assert set(best.names) == set(NAMES[:2])
    assert (best.trial.lost, best.trial.preserved) == (0, 1)


def test_fewer_layers_in_a_higher_precision_are_tried_too() -> None:
    class Precise(Known):
        def tried(self, donor: nn.Module, names: Sequence[str]) -> Screened:
            return super().tried(donor, names) if donor is sixteen else Screened()

    sixteen = nn.Module()
    trials = trials_of(Precise({"a": {NAMES[1]}}))
    as_it_is = Keeping(FP16, 16.0, lambda _: sixteen)
    screen_all(trials, (EIGHT_BITS, as_it_is), lambda _: {"order": NAMES}, collapsed=False)
    best = trials.best
    assert best is not None
    assert (best.names, best.trial.spec) == ((NAMES[1],), "nf4:skip=layers.1")
    assert (best.names, EIGHT) in [(each.names, each.keeping.at) for each in trials.screened]


def test_what_helps_nothing_is_given_up_and_a_collapse_sooner() -> None:
    trials = trials_of(Known({"a": {NAMES[39]}}))
    run(trials, NAMES, NAMES[::2])
    assert len(trials.screened) == 4
    assert promising(trials, collapsed=False) == ()
    trials = trials_of(Known({"a": {NAMES[39]}}))
    run(trials, NAMES, NAMES[::2], collapsed=True)
    assert [each.keeping for each in trials.screened] == [EIGHT_BITS, EIGHT_BITS]
    assert promising(trials, collapsed=True) == ()


def test_a_collapse_that_protection_helps_by_half_is_searched_on() -> None:
    trials = trials_of(Known({"a": {NAMES[0]}, "b": {NAMES[39]}}))
    run(trials, NAMES, collapsed=True)
    assert promising(trials, collapsed=True)[0].names == (NAMES[0],)
    trials = trials_of(Known({"a": {NAMES[0]}, "b": {NAMES[39]}, "c": {NAMES[38]}}))
    run(trials, NAMES, collapsed=True)
    assert (len(trials.screened), promising(trials, collapsed=True)) == (1, ())


def test_nothing_is_tried_when_the_time_is_up_and_what_was_holds() -> None:
    trials = trials_of(Known({"a": {NAMES[1]}}))
    first = trials.screen(NAMES[:4], EIGHT_BITS, "by hand")
    trials.clock.allow(0)
    assert trials.screen(NAMES[3::-1], EIGHT_BITS, "again") is first
    with pytest.raises(TimeUpError):
        trials.screen(NAMES[:3], EIGHT_BITS, "by hand")
    with pytest.raises(TimeUpError):
        trials.decode(first)
    assert (trials.screened, trials.decoded, trials.best) == ((first,), (), first)


def test_a_decoding_that_would_take_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(trials_module, "swapped", lambda *_: nullcontext())

    def outcomes(_: Sequence[Case]) -> dict[str, Outcome]:
        now[0] += 50
        return {}

    trials = trials_of(Known({"a": {NAMES[1]}}), outcomes=outcomes)
    first, second = (trials.screen(NAMES[:count], EIGHT_BITS, "by hand") for count in (4, 3))
    trials.clock.allow(99 / 60)
    trials.decode(first)
    trials.clock.check()
    with pytest.raises(TimeUpError):
        trials.decode(second)
    assert now == [50]
    trials.clock.allow(101 / 60)
    trials.decode(second)
    assert [each.names for each in trials.decoded] == [first.names, second.names]


def test_the_smallest_the_largest_and_the_other_precision_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "swapped", lambda *_: nullcontext())
    trials = trials_of(Known({"a": {NAMES[0]}, "b": {NAMES[1]}}))
    run(trials, NAMES)
    small, large, other = promising(trials, collapsed=False)
    assert (set(small.names), small.keeping) == (set(NAMES[:2]), EIGHT_BITS)
    assert (large.names, large.keeping) == (NAMES[:20], EIGHT_BITS)
    assert (set(other.names), other.keeping) == (set(NAMES[:2]), SIXTEEN_BITS)
    assert len(promising(trials, collapsed=False)) == DECODED
    trials.decode(large)
    assert large.key not in {each.key for each in promising(trials, collapsed=False)}


def test_with_other_points_everything_is_screened_anew_and_what_was_tried_stays_told() -> None:
    screen = Known({"a": {NAMES[1]}})
    trials = trials_of(screen)
    first = trials.screen(NAMES[:4], EIGHT_BITS, "by hand")
    trials.look_anew()
    assert (trials.screened, trials.best, trials.log) == ((), None, (first.trial,))
    trials.screen(NAMES[:4], EIGHT_BITS, "again")
    assert screen.asked == 2
    assert [each.way for each in trials.log] == ["by hand", "again"]


def test_no_layer_loses_bits_by_what_is_put_together() -> None:
    trials = mixed(Known({"a": {NAMES[0]}, "b": {NAMES[1]}}))
    assert trials.within_budget(NAMES[:2], EIGHT_BITS) == (NAMES[0],)
    orders = {EIGHT_BITS.at: NAMES[:1], SIXTEEN_BITS.at: NAMES[1:2]}
    screen_all(trials, (EIGHT_BITS, SIXTEEN_BITS), lambda keeping: {"order": orders[keeping.at]}, collapsed=False)
    tried = {(each.names, each.keeping.at) for each in trials.screened}
    assert {(NAMES[:1], EIGHT), (NAMES[1:2], FP16)} <= tried
    assert not any(NAMES[1] in names for names, at in tried if at == EIGHT)


def test_in_another_precision_only_layers_that_gain_by_it_are_kept() -> None:
    class Precise(Known):
        def tried(self, donor: nn.Module, names: Sequence[str]) -> Screened:
            return super().tried(donor, names) if donor is sixteen else Screened()

    sixteen = nn.Module()
    trials = mixed(Precise({"a": {NAMES[0], NAMES[1]}}))
    as_it_is = Keeping(FP16, 16.0, lambda _: sixteen)
    orders = {EIGHT: NAMES[2:4], FP16: NAMES[:2]}
    screen_all(trials, (EIGHT_BITS, as_it_is), lambda keeping: {"order": orders[keeping.at]}, collapsed=False)
    assert trials.best is not None
    assert (trials.best.names, trials.best.keeping) == (NAMES[:2], as_it_is)
    assert {each.names for each in trials.screened if each.keeping.at == EIGHT} == {NAMES[2:4], NAMES[:1]}
