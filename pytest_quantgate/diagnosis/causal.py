"""Which layers and components of a candidate break its answers. Imports torch: import it only to run models.

Parts of one variant are put in the place of the other's, and what comes out at the end is looked at. After Zhou et al.,
From Signal Degradation to Computation Collapse: patching and zeroing (section 3.4), the first domino (4.3), one layer
and one component alone (appendix C.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite, nan
from typing import Final

import torch

from pytest_quantgate.diagnosis.architecture import COMPONENTS, Architecture
from pytest_quantgate.diagnosis.effects import EVERYWHERE, PLACES, Effects, effects_of, places_of
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Curve, Grid, Side, Value
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner

MOST_LAYERS: Final = 12
"""Layers that are looked at; of a deeper model the first ones, where damage begins to spread, and others evenly."""

_DENSE: Final = 2  # as many at the beginning are not thinned out, nor is the one behind them
_LEAST_GAP: Final = 1e-4  # nats of margin; less is rounding


def causal_tests(
    reference: Runner, candidate: Runner, points: Sequence[Point], told: Callable[[int], None]
) -> Measured:
    """Put parts of one variant into the other, and see what becomes of the degraded cases' next token.

    h is the residual stream behind a layer, t the reference's token, r the candidate's (its most probable other token
    where that is not known), and m the margin log p(t) - log p(r). t is right where it stands no lower than with the
    reference: where that says it, first; a text that a case should recall may rank third with anybody.

    - ``patching``: the reference's h in the candidate, at one position or all of them. Share of the margin restored,
      sum(m_patched - m_candidate) / sum(m_reference - m_candidate) over the cases, so that a case which parts on a near
      tie does not outweigh the others; part ``turned``: share of the cases in which t is right again.
    - ``ablation``: h is zero at one position. Fall of log p(t), of either variant by itself, in the mean.
    - ``domino``: share of the cases in which t is right when the first n layers are the candidate's; so is the
      embedding, also for n = 0.
    - ``one_layer``: the same when one layer of the reference is the candidate's.
    - ``one_component``: the same when one kind of linear layer is, everywhere.

    A case costs about 30 passes over its tokens and up to 20 more, by the share of them that stands behind its
    subject; layers are begun in the middle, from states that are known. Memory holds one case's states of both.

    Args:
        reference: The trusted variant.
        candidate: The one that broke, of the same architecture.
        points: Where; those that are not degraded are passed over. How many is the caller's to bound.
        told: Called with 1 when a point is through.

    Returns:
        Everything for the group ``degraded``, at ``parting``: there effects are read. Rows of grids are layers, columns
        are of ``PLACES``, as far as a case has them, and ``EVERYWHERE``.
    """
    degraded = [point for point in points if point.degraded]
    layers = spread(reference.n_layers)
    components = _exchangeable(reference, candidate)
    found: dict[Point, Effects] = {}
    for point in degraded:
        effects = effects_of(reference, candidate, point, layers, components)
        if effects is not None:
            found[point] = effects
        told(1)
    if not found:
        return Measured(notes=("no causal tests: no degraded case gives numbers with both variants",))
    notes = [*_notes_of_cases(found, len(degraded))]
    if len(layers) < reference.n_layers:
        notes.append(f"causal tests look at {len(layers)} of {reference.n_layers} layers")
    if not components:
        notes.append(
            "no component was tested alone: the variants' linear layers differ in name, compute dtype or device"
        )
    return _summary([*found.values()], layers, [*components], tuple(notes))


def spread(layers: int) -> tuple[int, ...]:
    """The layers that are looked at: all, or of more than ``MOST_LAYERS`` the first three and others up to the last."""
    if layers <= MOST_LAYERS:
        return tuple(range(layers))
    steps = MOST_LAYERS - _DENSE - 1
    rest = layers - 1 - _DENSE
    return (*range(_DENSE), *(_DENSE + round(step * rest / steps) for step in range(steps + 1)))


def _exchangeable(reference: Runner, candidate: Runner) -> dict[str, list[str]]:
    """Full names of the modules of each component; none where one variant cannot run the other's."""
    ours, theirs = (_components(runner.architecture) for runner in (reference, candidate))
    numbers = {(runner.model.dtype, runner.model.device) for runner in (reference, candidate)}
    return ours if ours == theirs and len(numbers) == 1 else {}


def _components(architecture: Architecture) -> dict[str, list[str]]:
    """Full names of the modules of each component, in the usual order; fused ones behind."""
    names: dict[str, list[str]] = {component: [] for component in COMPONENTS}
    for layer in architecture.layers:
        for component, name in layer.linear.items():
            names.setdefault(component, []).append(name)
    return {component: found for component, found in names.items() if found}


def _notes_of_cases(found: Mapping[Point, Effects], degraded: int) -> Iterator[str]:
    if len(found) < degraded:
        yield f"causal tests are without {degraded - len(found)} of {degraded} cases: logits are not numbers"
    for place in PLACES:
        cases = sum(place in places_of(point) for point in found)
        if 0 < cases < len(found):
            yield f"patching and zeroing at the place {place!r} rest on {cases} of {len(found)} cases, which have it"
    partly = sum(effects.incomplete for effects in found.values())
    if partly:
        yield f"causal tests gave logits that are not numbers in {partly} of {len(found)} cases; they are in no mean"


def _summary(
    found: Sequence[Effects], layers: Sequence[int], components: Sequence[str], notes: tuple[str, ...]
) -> Measured:
    def curve(measure: str, at: tuple[int, ...], values: Iterable[torch.Tensor]) -> Curve:
        return Curve(measure, "degraded", "candidate", "parting", at, _numbers(_mean(values)), len(found))

    def grid(measure: str, side: Side, cells: torch.Tensor, part: str = "") -> Grid:
        columns = {name: column for name, column in had.items() if column < cells.shape[1]}
        return Grid(
            measure,
            "degraded",
            side,
            "parting",
            rows=tuple(map(str, layers)),
            columns=tuple(columns),
            values=tuple(map(_numbers, cells[:, list(columns.values())])),
            count=len(found),
            part=part,
        )

    turned = _mean(each.turned for each in found)
    had = {name: at for at, name in enumerate((*PLACES, EVERYWHERE)) if not turned[:, at].isnan().all()}
    kept = _numbers(_mean(each.one_component for each in found))
    return Measured(
        values=tuple(
            Value("one_component", "degraded", "candidate", "parting", value, len(found), component)
            for component, value in zip(components, kept, strict=True)
        ),
        curves=(
            curve("domino", (0, *(layer + 1 for layer in layers)), (each.domino for each in found)),
            curve("one_layer", tuple(layers), (each.one_layer for each in found)),
        ),
        grids=(
            grid("patching", "candidate", _restored(found)),
            grid("patching", "candidate", turned, part="turned"),
            grid("ablation", "reference", _mean(each.fall_reference for each in found)),
            grid("ablation", "candidate", _mean(each.fall_candidate for each in found)),
        ),
        notes=notes,
    )


def _restored(found: Sequence[Effects]) -> torch.Tensor:
    """Share of the lacking margin that patching gives back, ``(layers, places + 1)``; NaN where none is lacking."""
    regained = torch.stack([effects.regained for effects in found])
    lacking = torch.tensor([effects.lacking for effects in found])[:, None, None].expand_as(regained)
    gap = lacking.masked_fill(regained.isnan(), 0).sum(0)
    return (regained.nansum(0) / gap).masked_fill(gap < _LEAST_GAP, nan)


def _mean(cases: Iterable[torch.Tensor]) -> torch.Tensor:
    """Over the cases that have a number; in float64, so that a share is the one that people write."""
    return torch.stack([*cases]).double().nanmean(0)


def _numbers(values: torch.Tensor) -> tuple[float | None, ...]:
    numbers: list[float] = values.tolist()
    return tuple(number if isfinite(number) else None for number in numbers)
