"""Which cases turn when some layers are kept, by known answers. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from math import inf
from typing import Any, Final

import torch
from torch import nn

from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner, Trace
from pytest_quantgate.diagnosis.swapping import swapped
from pytest_quantgate.variants.rounding import store_rounded

MOST_TOKENS: Final = 3_000
"""Tokens of all points together that are read for each trial; the shortest ones are."""

FOLLOWING: Final = 4
"""Tokens behind the first that a case must go on with as the reference does, to count as turned back."""

EIGHT_BITS: Final = 8
_GROUPS: Final = (64, 32, 16)


@dataclass(frozen=True, slots=True)
class Screened:
    """What became of the points.

    Attributes:
        turned: Ids of degraded cases that go on as the reference does.
        lost: Ids of preserved cases at which the reference's token fell.
    """

    turned: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()

    @property
    def net(self) -> int:
        """Cases won, less those lost."""
        return len(self.turned) - len(self.lost)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A point, and what is known of it.

    Attributes:
        point: The point.
        trace: The candidate's, without keys and values: all begins at position 0.
        rank: The lowest place of the reference's token that is still good, from 1.
        follows: What the reference chooses behind its own next tokens.
    """

    point: Point
    trace: Trace
    rank: float
    follows: tuple[int, ...]


class Screen:
    """Some points of a candidate, read once, so that each trial begins at the first layer that differs.

    Of each group the shortest points are looked at, up to half of ``MOST_TOKENS`` and at least one. Degraded ones at
    which the reference's token stands no lower with the candidate show nothing, and are left out.

    Args:
        reference: The trusted variant.
        candidate: The one that broke.
        points: Where.
    """

    def __init__(self, reference: Runner, candidate: Runner, points: Iterable[Point]) -> None:
        self._candidate = candidate
        ordered = sorted(points, key=lambda point: (len(point.token_ids), point.case_id))
        some = (
            *_shortest([point for point in ordered if point.degraded]),
            *_shortest([point for point in ordered if not point.degraded]),
        )
        watched = (_watched(reference, candidate, point) for point in some)
        self._watched = [each for each in watched if each is not None]
        layers = candidate.architecture.layers
        self._layer = {name: number for number, layer in enumerate(layers) for name in layer.linear.values()}

    @property
    def degraded(self) -> tuple[Point, ...]:
        """The degraded points that are looked at."""
        return tuple(each.point for each in self._watched if each.point.degraded)

    @property
    def preserved(self) -> tuple[Point, ...]:
        """The preserved ones."""
        return tuple(each.point for each in self._watched if not each.point.degraded)

    def tried(self, donor: nn.Module, names: Collection[str]) -> Screened:
        """What becomes of the points when some layers are a donor's.

        A degraded case is turned back when the reference's token stands where it stands with the reference, and the
        tokens behind it are the reference's too. A preserved one is lost when it stands lower than with both variants.
        Costs one pass over each point through the layers from the first named one on, and one whole pass over those
        that may be turned back.

        Args:
            donor: Holds modules of these names.
            names: Full names of linear layers; at least one.
        """
        first = min(self._layer[name] for name in names)
        turned, lost = set(), set()
        with swapped(self._candidate.model, donor, names):
            for each in self._watched:
                logits = self._candidate.resume(each.trace, first, each.trace.states[first][None])[0]
                good = _rank(logits, each.point.target) <= each.rank
                if each.point.degraded and good and self._goes_on(each):
                    turned.add(each.point.case_id)
                elif not each.point.degraded and not good:
                    lost.add(each.point.case_id)
        return Screened(frozenset(turned), frozenset(lost))

    def _goes_on(self, each: _Watched) -> bool:
        if not each.follows:
            return True
        choices = self._candidate.choices(_known(each.point), len(each.point.token_ids))
        return tuple(choices.tolist()) == each.follows


class Rounded:
    """Layers of the reference rounded to 8 bits, each made when it is first asked for: exactly those of ``rtn:8bit``.

    Args:
        reference: The model that is trusted, of dense weights.
        group: Weights that share a scale, from ``group_of``.
    """

    def __init__(self, reference: nn.Module, group: int) -> None:
        self._reference = reference
        self._group = group
        self._layers: dict[str, nn.Linear] = {}

    def donor(self, names: Iterable[str]) -> nn.Module:
        """A model of nothing but these layers."""
        wanted = list(names)
        for name in wanted:
            if name not in self._layers:
                self._layers[name] = self._rounded(name)
        return donor_of({name: self._layers[name] for name in wanted})

    def _rounded(self, name: str) -> nn.Linear:
        module: Any = self._reference.get_submodule(name)
        weight = module.weight
        rows, columns = weight.shape
        layer = nn.Linear(columns, rows, bias=False, device="meta")
        rounded = store_rounded(weight, EIGHT_BITS, self._group).weight(weight.dtype)
        layer.weight = nn.Parameter(rounded, requires_grad=False)
        layer.bias = module.bias
        return layer.eval()


def donor_of(modules: Mapping[str, nn.Module]) -> nn.Module:
    """A model of nothing but some modules, by their full names."""
    root = nn.Module()
    for name, module in modules.items():
        place = root
        *above, last = name.split(".")
        for part in above:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.add_module(last, module)
    return root


def group_of(reference: nn.Module, names: Iterable[str]) -> int | None:
    """The most weights that can share a scale in all of some layers; None where they are not dense or do not fit."""
    modules = [reference.get_submodule(name) for name in names]
    if not all(type(module) is nn.Linear for module in modules):
        return None
    columns = {module.in_features for module in modules if isinstance(module, nn.Linear)}
    return next((group for group in _GROUPS if not any(each % group for each in columns)), None)


def _watched(reference: Runner, candidate: Runner, point: Point) -> _Watched | None:
    """What must be known of a point; None where it shows nothing."""
    known = _known(point)
    logits = reference.read(known, reference.memory(), keep=len(known) - len(point.token_ids) + 1)
    trace = candidate.trace(point.token_ids)
    before, after = _rank(logits[0], point.target), _rank(trace.logits, point.target)
    if point.degraded and after <= before:
        return None
    rank = before if point.degraded else max(before, after)
    return _Watched(point, replace(trace, memory=()), rank, tuple(logits[1:].argmax(dim=-1).tolist()))


def _known(point: Point) -> tuple[int, ...]:
    """The tokens of a point, and the reference's behind them that a case must go on with."""
    following = point.following[:FOLLOWING]
    return (*point.token_ids, point.target, *following[:-1]) if following else point.token_ids


def _rank(logits: torch.Tensor, token: int) -> float:
    """The place of a token, from 1, behind all that tie with it; infinity where the logits are not numbers."""
    return int((logits >= logits[token]).sum()) if bool(logits.isfinite().all()) else inf


def _shortest(points: Sequence[Point]) -> list[Point]:
    """Of points in order of length, the first ones that fit."""
    totals = accumulate(len(point.token_ids) for point in points)
    fitting = sum(1 for _ in takewhile(lambda total: total <= MOST_TOKENS // 2, totals))
    return list(points[: max(fitting, 1)])
