"""Tensors of numbers by case, averaged into what a report holds. Imports torch: import it only to diagnose."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

import torch
from torch import Tensor

from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import Curve, Grid, Group, Place, Side, Value

PLACES: Final[dict[Place, str]] = {"parting": "where the answers part", "subject": "at the subject"}
"""The places of a reading, in its order, in words."""

_MEDIANS: Final = ("target_rank", "lens_rank")
_DIGITS: Final = 6  # significant ones: float32 has no more
_NO_DIRECTION: Final = "a vector of zeros has no direction"
_ALIKE: Final = "all cases' activations are alike"
_WHY: Final = {
    "attention_entropy": "only one position can be attended to",
    "neuron_overlap": "all neurons are silent",
    "feed_forward_cosine": _NO_DIRECTION,
    "layer_cosine": _NO_DIRECTION,
    "cka": _ALIKE,
    "subspace_similarity": _ALIKE,
    "subspace_rank": _ALIKE,
    "error_alignment": "there is no error, or it is the same for all cases",
}


@dataclass(frozen=True, slots=True)
class Averages:
    """Makes values, curves and grids of what was measured of the same cases.

    Each is given with the cases as its first dimension, and is their mean (of ranks the median) without those of which
    it is undefined, NaN. Where there are such, a note says why.

    Attributes:
        group: Which cases.
        place: Where.
        side: Whose activations.
        count: Cases that it rests on.
    """

    group: Group
    place: Place
    side: Side
    count: int

    def value(self, measure: str, cases: Tensor) -> Measured:
        """Of ``(cases,)``."""
        value = _number(_average(measure, cases).item())
        return Measured(values=(Value(measure, self.group, self.side, self.place, value, self.count),))

    def curve(self, measure: str, cases: Tensor, part: str = "") -> Measured:
        """Of ``(cases, layers)``."""
        values = _numbers(_average(measure, cases).tolist())
        at = tuple(range(len(values)))
        curve = Curve(measure, self.group, self.side, self.place, at, values, self.count, part)
        return Measured(curves=(curve,), notes=self._notes(measure, cases, part))

    def grid(self, measure: str, cases: Tensor, part: str = "") -> Measured:
        """Of ``(cases, rows, columns)``."""
        values = tuple(map(_numbers, _average(measure, cases).tolist()))
        rows, columns = (tuple(map(str, range(number))) for number in cases.shape[1:])
        grid = Grid(measure, self.group, self.side, self.place, rows, columns, values, self.count, part)
        return Measured(grids=(grid,), notes=self._notes(measure, cases, part))

    def _notes(self, measure: str, cases: Tensor, part: str) -> tuple[str, ...]:
        if not cases.isnan().any():
            return ()
        name = MEASURES[measure].title + (f" ({part.replace('_', '-')})" if part else "")
        whose = f"{self.group} cases {PLACES[self.place]}"
        return (f"{name} of {whose} is undefined for some cases or layers: {_WHY.get(measure, 'no number came out')}",)


def _average(measure: str, cases: Tensor) -> Tensor:
    return cases.nanquantile(0.5, dim=0) if measure in _MEDIANS else torch.nanmean(cases, dim=0)


def _numbers(values: list[float]) -> tuple[float | None, ...]:
    return tuple(map(_number, values))


def _number(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if isfinite(value) else None
