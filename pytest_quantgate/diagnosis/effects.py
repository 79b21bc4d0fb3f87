"""What becomes of one case when parts of two variants are exchanged. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final, NamedTuple

import torch

from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.standing import standing
from pytest_quantgate.diagnosis.swapping import swapped

PLACES: Final = ("parting", "subject", "prompt end")
"""Single positions: the newest token, the subject's last, and where a case marks none the prompt's last."""

EVERYWHERE: Final = "all"
"""All positions at once."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Of one case; ``diagnosis.causal`` says what each is. Tensors of float32 on the CPU, NaN where there is none.

    A row stands for the residual stream behind a layer, a column for one of ``PLACES`` and, last, ``EVERYWHERE``.

    Attributes:
        lacking: Margin of the reference less that of the candidate, nats.
        regained: ``(layers, places + 1)``: margin of the patched candidate less that of the candidate, nats.
        turned: ``(layers, places + 1)``: 1 where the reference's token is right again in the patched candidate: it
            stands no lower than with the reference, which for most cases says it.
        fall_reference: ``(layers, places)``: log-probability of the reference's token that zeroing takes away, nats.
        fall_candidate: Likewise.
        domino: ``(layers + 1,)``: 1 where the reference's token is still right with none of the candidate's layers, and
            with those up to each.
        one_layer: ``(layers,)``: 1 where it is with one layer of the candidate.
        one_component: ``(components,)``: 1 where it is with one component of the candidate in all layers.
    """

    lacking: float
    regained: torch.Tensor
    turned: torch.Tensor
    fall_reference: torch.Tensor
    fall_candidate: torch.Tensor
    domino: torch.Tensor
    one_layer: torch.Tensor
    one_component: torch.Tensor

    @property
    def incomplete(self) -> bool:
        """Whether something that every case has gave logits that are not numbers."""
        everywhere = self.turned[:, [PLACES.index("parting"), -1]].flatten()
        return bool(torch.cat((everywhere, self.domino, self.one_layer, self.one_component)).isnan().any())


def effects_of(
    reference: Runner,
    candidate: Runner,
    point: Point,
    layers: Sequence[int],
    components: Mapping[str, Sequence[str]],
) -> Effects | None:
    """Look at one case.

    Args:
        reference: The trusted variant.
        candidate: The one that broke, of the same architecture.
        point: Where.
        layers: Which.
        components: Full names of the modules of each.

    Returns:
        None where the logits of a variant are not numbers.
    """
    case = _Case(reference, candidate, point)
    right, wrong = case.said(case.intact.logits[None]), case.said(case.broken.logits[None])
    if bool(right.margin.isnan() | wrong.margin.isnan()):
        return None
    turned = torch.full((len(layers), len(PLACES) + 1), nan)
    margin = turned.clone()
    left_reference, left_candidate = torch.full((2, len(layers), len(PLACES)), nan)
    first, alone = [case.first_quantized(0)], []
    for row, layer in enumerate(layers):
        for place, at in places_of(point).items():
            column = PLACES.index(place)
            found = case.patched_and_zeroed(layer, at)
            turned[row, column], margin[row, column] = found.right[0], found.margin[0]
            left_candidate[row, column] = found.log_probability[1]
            left_reference[row, column] = case.zeroed(layer, at).log_probability
        found = case.patched_everywhere(layer)
        turned[row, -1], margin[row, -1] = found.right, found.margin
        first.append(case.first_quantized(layer + 1))
        alone.append(case.one_quantized(layer))
    return Effects(
        lacking=float(right.margin - wrong.margin),
        regained=margin - wrong.margin,
        turned=turned,
        fall_reference=right.log_probability - left_reference,
        fall_candidate=wrong.log_probability - left_candidate,
        domino=torch.cat([found.right for found in first]),
        one_layer=torch.cat([found.right for found in alone]),
        one_component=torch.tensor([float(case.exchanged(names).right) for names in components.values()]),
    )


def places_of(point: Point) -> dict[str, int]:
    """Positions of a case by their names in ``PLACES``; the prompt's end only where it is another than the parting."""
    last = len(point.token_ids) - 1
    places = {"parting": last}
    if point.subject is not None:
        places["subject"] = point.subject
    elif point.prompt_tokens <= last:
        places["prompt end"] = point.prompt_tokens - 1
    return places


class _Said(NamedTuple):
    """What comes next; each ``(B,)`` on the CPU, NaN where logits are not numbers."""

    right: torch.Tensor  # 1 where the reference's token stands as high as with the reference
    margin: torch.Tensor
    log_probability: torch.Tensor  # of the reference's token


class _Case:
    """One case in both variants.

    Args:
        reference: The trusted variant.
        candidate: The one that broke.
        point: Where.
    """

    def __init__(self, reference: Runner, candidate: Runner, point: Point) -> None:
        self.reference, self.candidate = reference, candidate
        self.intact, self.broken = reference.trace(point.token_ids), candidate.trace(point.token_ids)
        self._target = point.target
        self._good = float(standing(self.intact.logits, point.target))
        others = (token for token in self.broken.logits.topk(2).indices.tolist() if token != point.target)
        self._rival: int = next(others) if point.rival is None else point.rival

    def said(self, logits: torch.Tensor) -> _Said:
        """What follows from logits ``(B, vocabulary)``."""
        log = logits.log_softmax(-1).cpu()
        right = (standing(logits, self._target) <= self._good).float().cpu()
        target = log[:, self._target]
        return _Said(right.masked_fill(target.isnan(), nan), target - log[:, self._rival], target)

    def patched_and_zeroed(self, layer: int, at: int) -> _Said:
        """The candidate with the reference's state behind a layer at one position; and with none there."""
        state = self.intact.states[layer + 1, at]
        states = _beginning(self.broken.states[layer + 1, at:], state, torch.zeros_like(state))
        return self.said(self.candidate.resume(self.broken, layer + 1, states, at))

    def patched_everywhere(self, layer: int) -> _Said:
        """The candidate with all of the reference's states behind a layer."""
        return self.said(self.candidate.resume(self.broken, layer + 1, self.intact.states[layer + 1][None]))

    def zeroed(self, layer: int, at: int) -> _Said:
        """The reference without its state behind a layer at one position."""
        states = self.intact.states[layer + 1, at:]
        states = _beginning(states, torch.zeros_like(states[0]))
        return self.said(self.reference.resume(self.intact, layer + 1, states, at))

    def first_quantized(self, layers: int) -> _Said:
        """The reference with as many of the candidate's first layers, and its embedding."""
        return self.said(self.reference.resume(self.intact, layers, self.broken.states[layers][None]))

    def one_quantized(self, layer: int) -> _Said:
        """The reference with one of the candidate's layers."""
        states = self.candidate.step(self.broken, layer, self.intact.states[layer])
        return self.said(self.reference.resume(self.intact, layer + 1, states[None]))

    def exchanged(self, names: Iterable[str]) -> _Said:
        """The reference with some of the candidate's modules."""
        with swapped(self.reference.model, self.candidate.model, names):
            return self.said(self.reference.resume(self.intact, 0, self.intact.states[:1]))


def _beginning(states: torch.Tensor, *first: torch.Tensor) -> torch.Tensor:
    """States ``(n, d)`` once for each of some others ``(d,)`` that stands in the first one's place."""
    begun = states.repeat(len(first), 1, 1)
    begun[:, 0] = torch.stack(first)
    return begun
