"""What a diagnosis refuses or leaves out once both models were looked at; the whole of it is an integration test."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from math import nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pytest_quantgate.diagnosis.diagnose import NOT_AS_RECORDED, _not_as_recorded, _Study
from pytest_quantgate.diagnosis.model import Sample
from pytest_quantgate.diagnosis.points import Chosen, Point
from pytest_quantgate.errors import UsageError
from pytest_quantgate.generation.progress import SilentProgress


def chosen(*ids: str, recalled: str = "", preserved: str = "") -> Chosen:
    points = tuple(Point(each, each != preserved, (1, 2), 3, 4, (), 2) for each in ids)
    degraded = tuple(each.case_id for each in points if each.degraded)
    return Chosen(points, Sample(degraded, (), causal=degraded, tokens=2 * len(ids)), {}, frozenset({recalled}))


def readings(layers: int = 2, width: int = 4, **ranks: float) -> Mapping[str, Any]:
    """Readings in which the target ends at a rank."""
    return {
        case_id: SimpleNamespace(
            lens=torch.tensor([[0.5, 7.0, 1.0, -1.0]] * layers + [[0.5, rank, 1.0, -1.0]]),
            residual=torch.zeros(1, layers + 1, width),
        )
        for case_id, rank in ranks.items()
    }


def study(found: Chosen, before: Mapping[str, Any], after: Mapping[str, Any], folder: Path) -> Any:
    made: Any = _Study("words on nf4", (), folder, ExitStack(), SilentProgress())
    made.chosen, made.points, made.sample = found, found.points, found.sample
    made.readings = [before, after]
    return made


def test_where_the_models_do_not_part_as_recorded_nothing_is_looked_at() -> None:
    ids = ("parts", "wrong", "same", "text", "broken", "sound")
    found = chosen(*ids, recalled="text", preserved="sound")
    before = readings(parts=1, wrong=2, same=1, text=9, broken=1, sound=5)
    after = readings(parts=2, wrong=3, same=1, text=40, broken=nan, sound=1)
    assert _not_as_recorded(found, before, after) == {"wrong", "same"}


def test_when_none_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    made = study(chosen("same", "too"), readings(same=1, too=1), readings(same=1, too=1), tmp_path)
    with pytest.raises(UsageError, match=rf"words on nf4: none of .* looked at: {NOT_AS_RECORDED}: 2\n  run the slice"):
        made.compared()


@pytest.mark.parametrize("other", [{"layers": 3}, {"width": 8}])
def test_other_layers_cannot_be_laid_beside_each_other(other: dict[str, int], tmp_path: Path) -> None:
    made = study(chosen("one"), readings(one=1), readings(**other, one=2), tmp_path)
    with pytest.raises(UsageError, match="the reference has 2 layers of width 4, the candidate"):
        made.compared()
