"""Readings of both variants, compared case by case and averaged. Imports torch: import it only to diagnose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, get_args

import torch
from torch import Tensor

from pytest_quantgate.diagnosis.averages import PLACES, Averages
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.measures import ENERGY
from pytest_quantgate.diagnosis.model import Group, Place, Side
from pytest_quantgate.diagnosis.probes.attention import divergence, normalized_entropy
from pytest_quantgate.diagnosis.probes.feed_forward import sign_flips, top_overlap
from pytest_quantgate.diagnosis.probes.similarity import cka_grid, cosine
from pytest_quantgate.diagnosis.probes.subspace import (
    error_alignment,
    rank_of_energy,
    spectrum_of,
    subspace_similarity,
)

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.capture import Reading
    from pytest_quantgate.diagnosis.points import Point

FEWEST: Final = 10
"""Cases that CKA and principal subspaces need; unrelated activations of so few have a CKA of 0 give or take 0.17."""

_SIDES: Final[tuple[Side, ...]] = ("reference", "candidate")
_PARTS: Final = ("layer", "attention", "feed_forward")
_LENS: Final = ("lens_probability", "lens_rank", "lens_entropy")  # the first columns of ``Reading.lens``


def measured(points: Sequence[Point], before: Mapping[str, Reading], after: Mapping[str, Reading]) -> Measured:
    """Everything of ``MEASURES`` that readings give, for degraded and preserved cases, at each place.

    Numbers are means over cases, of ranks medians. Curves and the rows of grids run over layers from 0: an activation
    in layer n, or the residual stream behind it. CKA has the reference's layers as rows and the candidate's as columns,
    for the parts ``layer`` (the residual stream), ``attention`` and ``feed_forward``; below 0 it is cut. Its diagonals
    are curves. Entropy and divergence of attention are grids of layers and heads, and in the mean over heads curves.
    Principal subspaces are those of the residual stream.

    A case whose readings are missing, or not finite, is in no mean. This and whatever is undefined is noted.

    Args:
        points: The cases.
        before: The reference's readings by case id.
        after: The candidate's.
    """
    groups: tuple[Group, ...] = get_args(Group)
    found = _sum(_group(group, points, before, after) for group in groups)
    return replace(found, notes=tuple(dict.fromkeys(found.notes)))


def _group(
    group: Group, points: Sequence[Point], before: Mapping[str, Reading], after: Mapping[str, Reading]
) -> Measured:
    those = [point for point in points if point.degraded == (group == "degraded")]
    ends, places = _Ends(group), [_Activations(group, place) for place in PLACES]
    missing = Counter[str]()
    for point in those:
        # One pair at a time: readings of a large model take tens of megabytes each.
        reference, candidate = before.get(point.case_id), after.get(point.case_id)
        if reference is None or candidate is None:
            missing["their activations were not read"] += 1
        elif broken := _broken("reference", reference) or _broken("candidate", candidate):
            missing[broken] += 1
        else:
            ends.add(reference, candidate)
            for number, position in enumerate(_positions(point)):
                places[number].add(reference, candidate, number, position + 1)
    notes = tuple(f"{count} of {len(those)} {group} cases are in no mean: {why}" for why, count in missing.items())
    return _sum([Measured(notes=notes), ends.measured(), *(place.measured() for place in places)])


def _broken(side: Side, reading: Reading) -> str:
    """Why a reading cannot be averaged; empty when it can."""
    if reading.broken_layer is None:
        return ""
    whole = reading.broken_layer == reading.lens.shape[1] - 1
    where = "behind the last layer" if whole else f"from layer {reading.broken_layer} on"
    return f"activations of the {side} are not finite {where}"


def _positions(point: Point) -> Iterator[int]:
    """Where readings of a case are taken, in the order of ``PLACES``."""
    yield len(point.token_ids) - 1
    if point.subject is not None:
        yield point.subject


@dataclass(frozen=True, slots=True)
class _Ends:
    """What the logits say of the target where the answers part, case by case.

    Attributes:
        group: Of the cases.
        ends: Of each variant, probability and rank.
        margins: Of each variant, for cases whose answers part.
    """

    group: Group
    ends: defaultdict[Side, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    margins: defaultdict[Side, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reference: Reading, candidate: Reading) -> None:
        """Take one case along."""
        for side, reading in zip(_SIDES, (reference, candidate), strict=True):
            self.ends[side].append(reading.lens[0, -1, :2])
            if reading.rival_log_probability is not None:
                self.margins[side].append(reading.target_log_probability - reading.rival_log_probability)

    def measured(self) -> Measured:
        """The averages."""
        return _sum(self._measured(side, torch.stack(cases)) for side, cases in self.ends.items())

    def _measured(self, side: Side, ends: Tensor) -> Measured:
        averages = Averages(self.group, "parting", side, len(ends))
        probability, rank = ends.unbind(dim=-1)
        found = averages.value("target_rank", rank) + averages.value("target_probability", probability)
        if margins := self.margins[side]:
            found += replace(averages, count=len(margins)).value("margin", torch.tensor(margins))
        return found


@dataclass(frozen=True, slots=True)
class _Activations:
    """What layers hold, and how it compares, at one place, case by case.

    Attributes:
        group: Of the cases.
        place: Where.
        layers: By measure and side, ``(layers,)`` of each case.
        heads: By measure and side, ``(layers, heads)`` of each case.
        whole: By part and side, the activations themselves, ``(layers, d)`` of each case, for what needs all cases.
    """

    group: Group
    place: Place
    layers: defaultdict[tuple[str, Side], list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    heads: defaultdict[tuple[str, Side], list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    whole: defaultdict[tuple[str, Side], list[Tensor]] = field(default_factory=lambda: defaultdict(list))

    def add(self, reference: Reading, candidate: Reading, number: int, positions: int) -> None:
        """Take one case along.

        Args:
            reference: The reference's reading.
            candidate: The candidate's.
            number: Of the place in them.
            positions: How many can be attended to there.
        """
        for side, reading in zip(_SIDES, (reference, candidate), strict=True):
            entropy = normalized_entropy(reading.attention[number], positions)
            self.heads["attention_entropy", side].append(entropy)
            for measure, behind in zip(_LENS, reading.lens[number, 1:, :3].unbind(dim=-1), strict=True):
                self.layers[measure, side].append(behind)
            for part, those in zip(_PARTS, _outputs(reading), strict=True):
                self.whole[part, side].append(those[number])
        apart = divergence(reference.attention[number], candidate.attention[number])
        self.heads["attention_divergence", "both"].append(apart)
        if reference.gate is not None and candidate.gate is not None:
            flips = sign_flips(reference.gate[number], candidate.gate[number])
            self.layers["gate_sign_flips", "both"].append(flips)
        overlap = top_overlap(reference.neurons[number], candidate.neurons[number])
        self.layers["neuron_overlap", "both"].append(overlap)
        for measure, part in (("feed_forward_cosine", "feed_forward"), ("layer_cosine", "layer")):
            ours, theirs = (self.whole[part, side][-1] for side in _SIDES)
            self.layers[measure, "both"].append(cosine(ours, theirs))

    def measured(self) -> Measured:
        """The averages, and what follows from all cases together."""
        count = len(self.heads["attention_divergence", "both"])
        if not count:
            return Measured()
        both = Averages(self.group, self.place, "both", count)
        found = Measured()
        for (measure, side), cases in self.heads.items():
            averages, heads = replace(both, side=side), torch.stack(cases)
            found += averages.curve(measure, heads.mean(dim=-1)) + averages.grid(measure, heads)
        for (measure, side), cases in self.layers.items():
            found += replace(both, side=side).curve(measure, torch.stack(cases))
        if ("gate_sign_flips", "both") not in self.layers:
            found += Measured(notes=("no gate sign flips: the feed-forward blocks have no gates",))
        if count < FEWEST:
            where = f"{self.group} cases {PLACES[self.place]}"
            return found + Measured(notes=(f"no CKA or subspaces of {count} {where}: they need {FEWEST}",))
        return found + _sum(self._aligned(both, part) for part in _PARTS) + self._subspaces(both)

    def _aligned(self, both: Averages, part: str) -> Measured:
        """CKA of one part: of all layers, and of each with itself."""
        grid = cka_grid(*self._sides(part)).clamp(min=0)
        return both.grid("cka", grid[None], part) + both.curve("cka", grid.diagonal()[None], part)

    def _subspaces(self, both: Averages) -> Measured:
        """Principal subspaces of the residual stream."""
        ours, theirs = self._sides("layer")
        rank = rank_of_energy(spectrum_of(ours).values, ENERGY)
        return (
            replace(both, side="reference").curve("subspace_rank", torch.where(rank > 0, rank, torch.nan)[None])
            + both.curve("subspace_similarity", subspace_similarity(ours, theirs, rank)[None])
            + both.curve("error_alignment", error_alignment(ours, theirs, rank)[None])
        )

    def _sides(self, part: str) -> tuple[Tensor, Tensor]:
        """Activations of the reference and of the candidate, ``(layers, cases, d)``."""
        ours, theirs = (torch.stack(self.whole[part, side], dim=1) for side in _SIDES)
        return ours, theirs


def _outputs(reading: Reading) -> tuple[Tensor, Tensor, Tensor]:
    """What the layers give, in the order of ``_PARTS``; each ``(places, layers, d)``."""
    return reading.residual[:, 1:], reading.attention_out, reading.feed_forward_out


def _sum(those: Iterable[Measured]) -> Measured:
    return sum(those, Measured())
