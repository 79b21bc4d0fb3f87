"""What a diagnosis refuses or leaves out once both models were looked at; the whole of it is an integration test."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis import diagnose as room
from pytest_quantgate.diagnosis.diagnose import NOT_AS_RECORDED, Workshop, _not_as_recorded, _Study
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Repair, Sample, Trial
from pytest_quantgate.diagnosis.points import Chosen, Point
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.outcomes.model import Transition
from tests.unit.diagnosis.families import tiny


def chosen(*ids: str, recalled: str = "", preserved: str = "") -> Chosen:
    points = tuple(Point(each, each != preserved, (1, 2), 3, 4, (), 2) for each in ids)
    degraded = tuple(each.case_id for each in points if each.degraded)
    return Chosen(points, Sample(degraded, (), causal=degraded, tokens=2 * len(ids)), {}, frozenset({recalled}))


def readings(layers: int = 2, width: int = 4, heads: int = 2, neurons: int = 6, **ranks: float) -> Mapping[str, Any]:
    """Readings in which the target ends at a rank."""
    return {
        case_id: SimpleNamespace(
            target_rank=rank,
            residual=torch.zeros(1, layers + 1, width),
            attention=torch.zeros(1, layers, heads, 3),
            neurons=torch.zeros(1, layers, neurons),
        )
        for case_id, rank in ranks.items()
    }


def study(found: Chosen, before: Mapping[str, Any], after: Mapping[str, Any], folder: Path, *taken: str) -> Any:
    made: Any = _Study("words on nf4", (), folder, ExitStack(), SilentProgress())
    made.chosen, made.points, made.sample = found, found.points, found.sample
    made.readings, made.taken = [before, after], frozenset(taken)
    return made


def test_where_the_models_do_not_part_as_recorded_nothing_is_looked_at() -> None:
    ids = ("parts", "wrong", "same", "text", "broken", "sound")
    found = chosen(*ids, recalled="text", preserved="sound")
    before = readings(parts=1, wrong=2, same=1, text=9, broken=1, sound=5)
    after = readings(parts=2, wrong=3, same=1, text=40, broken=nan, sound=1)
    assert _not_as_recorded(found, {"parts", "same", "broken"}, before, after) == {"wrong", "same"}


def test_where_the_references_token_ties_the_models_part_as_recorded() -> None:
    found = chosen("tied", "both")
    before, after = readings(tied=2, both=2), readings(tied=9, both=2)
    assert _not_as_recorded(found, {"tied", "both"}, before, after) == set()


def test_when_none_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    made = study(chosen("same", "too"), readings(same=1, too=1), readings(same=1, too=1), tmp_path, "same", "too")
    with pytest.raises(UsageError, match=rf"words on nf4: none of .* looked at: {NOT_AS_RECORDED}: 2\n  run the slice"):
        made.compared()


ALLOCATOR = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError(ALLOCATOR), "memory ran out"),
        (ModelError("it is odd", where="there", hint="look"), "it is odd"),
        (ValueError("a library's"), "internal error: ValueError: a library's"),
    ],
)
def test_a_search_that_breaks_off_leaves_what_was_found(
    error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    for step in ("look_first", "look_next"):
        monkeypatch.setattr(_Study, step, lambda *_: None)
    monkeypatch.setattr(_Study, "compared", lambda _: Measured(notes=("seen",)))
    monkeypatch.setattr(room, "_runner", lambda _: None)
    monkeypatch.setattr(room, "_chooser", lambda *_: None)
    monkeypatch.setattr(room, "causal_tests", lambda *_: Measured(notes=("tested",)))
    monkeypatch.setattr(room, "search", fail)
    workshop: Any = Workshop(RepairLimits(), builtin_registry())
    found = study(chosen("one"), {}, {}, tmp_path).together(workshop, None, None)
    assert found.measured.notes == ("seen", "tested", f"the search for a repair broke off: {told}")
    assert found.repair is None


@pytest.mark.parametrize("tried", [True, False])
def test_what_a_search_went_without_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tried: bool) -> None:
    class Packed(torch.nn.Linear):
        pass

    odd: Any = deepcopy(tiny("Llama"))
    odd.set_submodule("model.layers.0.self_attn.q_proj", Packed(32, 32, bias=False))
    trial = Trial("odd", (), 4.0, None, 0, 1, 0, 1, "screened", "early layers")
    for step in ("look_first", "look_next"):
        monkeypatch.setattr(_Study, step, lambda *_: None)
    monkeypatch.setattr(_Study, "compared", lambda _: Measured())
    monkeypatch.setattr(room, "_runner", lambda loaded: Runner(loaded, name="odd"))
    monkeypatch.setattr(room, "_chooser", lambda *_: None)
    monkeypatch.setattr(room, "causal_tests", lambda *_: Measured())
    monkeypatch.setattr(room, "search", lambda *_, **__: Repair(trial, (trial,) if tried else (), None))
    workshop: Any = Workshop(RepairLimits(), builtin_registry())
    found = study(chosen("one"), {}, {}, tmp_path).together(workshop, tiny("Llama"), odd)
    notes = found.measured.notes
    assert len(notes) == tried
    assert all(
        note.startswith("the weights of odd cannot be read in model.layers.0.self_attn.q_proj") for note in notes
    )


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (RuntimeError(ALLOCATOR), ModelError, "words on nf4: memory ran out while the models were looked into"),
        (RuntimeError("a library's"), RuntimeError, "a library's"),
    ],
)
def test_memory_that_runs_out_is_told(
    error: Exception, kind: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(room, "refuse_others", lambda *_: None)
    monkeypatch.setattr(room, "fit_together", lambda *_: True)
    monkeypatch.setattr(room, "with_loaded", fail)
    broken: Any = SimpleNamespace(transition=Transition.DEGRADED)
    nf4: Any = SimpleNamespace(label="nf4")
    with pytest.raises(kind, match=told):
        room.diagnose("words", [broken], nf4, nf4, workshop=None, progress=SilentProgress())


@pytest.mark.parametrize("other", [{"layers": 3}, {"width": 8}, {"heads": 1}, {"neurons": 5}])
def test_other_layers_cannot_be_laid_beside_each_other(other: dict[str, int], tmp_path: Path) -> None:
    made = study(chosen("one"), readings(one=1), readings(**other, one=2), tmp_path)
    with pytest.raises(UsageError, match="the reference has 2 layers of width 4 with 2 heads and 6 neurons each, the"):
        made.compared()
