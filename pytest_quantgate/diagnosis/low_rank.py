"""Quantization errors made up for by products of low rank. Imports torch: import it only to run models.

The idea is EoRA's (Liu et al. 2024): of all products of a rank the one that makes up for most of the error of a layer's
outputs, over inputs as the model sees them. Theirs goes through the eigenspace of the inputs' covariance; the same
optimum is had from the error of the outputs itself, without inverting anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final

import torch
from torch import nn

from pytest_quantgate.diagnosis.hooks import entering
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner, Trace
from pytest_quantgate.diagnosis.sensitivity import early_first
from pytest_quantgate.diagnosis.weights import all_readable, error_bytes, error_of, shapes_of

RANKS: Final = (128, 64, 32, 16, 8, 4)
"""The largest that the budget of bits has room for is taken."""

MOST_TOKENS: Final = 512
"""Tokens whose inputs are looked at."""

FACTOR_BITS: Final = 16
"""Bits of a number of either factor."""

_SEED: Final = 0
_OVERSAMPLING: Final = 8
_ITERATIONS: Final = 4


class Compensated(nn.Module):
    """A layer, and what a product of low rank adds to it.

    Args:
        layer: The quantized layer.
        left: ``(out_features, rank)``.
        right: ``(rank, in_features)``.
    """

    def __init__(self, layer: nn.Module, left: torch.Tensor, right: torch.Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.left = left
        self.right = right

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The layer's outputs and what is added."""
        outputs: torch.Tensor = self.layer(states)
        return outputs + states @ self.right.T @ self.left.T


def low_rank(error: torch.Tensor, inputs: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The product B A of a rank that minimises |(E - B A) X^T| (Frobenius) over inputs X.

    With U the first left singular vectors of E X^T, B = U and A = U^T E: the best approximation of E X^T of that rank
    is U U^T E X^T (Eckart and Young), and B A gives it. The vectors are found by projections on random ones of a fixed
    seed and orthogonal iterations (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1).

    Args:
        error: What the quantized weights lack, ``(out_features, in_features)``.
        inputs: ``(tokens, in_features)``.
        rank: At least 1; less is given where tokens or rows are fewer.

    Returns:
        B ``(out_features, rank)`` and A ``(rank, in_features)``, in float32.
    """
    error, inputs = error.float(), inputs.float()
    outputs = error @ inputs.T
    rank = min(rank, *outputs.shape)
    generator = torch.Generator().manual_seed(_SEED)
    sketch = min(rank + _OVERSAMPLING, *outputs.shape)
    drawn = torch.randn(outputs.shape[1], sketch, generator=generator).to(outputs.device)
    basis = torch.linalg.qr(outputs @ drawn).Q
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(outputs @ torch.linalg.qr(outputs.T @ basis).Q).Q
    left = basis @ torch.linalg.svd(basis.T @ outputs, full_matrices=False).U[:, :rank]
    return left, left.T @ error


def compensate(
    reference: nn.Module,
    candidate: Runner,
    points: Iterable[Point],
    rank: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> dict[str, nn.Module] | None:
    """Linear layers of a candidate whose errors are made up for, over the inputs that they have at some points.

    The inputs of one decoder layer are held at a time.

    Args:
        reference: The model that is trusted.
        candidate: The one that broke; the weights of both can be read.
        points: Whose tokens are read, up to ``MOST_TOKENS``; not those that are to be turned back by it.
        rank: Of the products.
        check: Called before each layer; what it raises goes through.

    Returns:
        By name, in the compute dtype, of no more than ``FACTOR_BITS``; they hold the candidate's layers, which stay
        as they are. None where what a layer is given, or its error, is not all numbers.
    """
    traces = []
    left = MOST_TOKENS
    for point in points:
        tokens = point.token_ids[:left]
        left -= len(tokens)
        if tokens:
            check()
            traces.append(replace(candidate.trace(tokens), memory=()))
    found: dict[str, nn.Module] = {}
    for number in range(candidate.n_layers):
        for name, seen in _inputs(candidate, traces, number).items():
            check()
            layer, inputs = candidate.module(name), torch.cat(seen)
            error = error_of(reference.get_submodule(name), layer)
            if not bool(inputs.isfinite().all() & error.isfinite().all()):
                return None
            factors = low_rank(error, inputs, rank)
            found[name] = Compensated(layer, *(each.half().to(inputs.dtype) for each in factors))
    return found


def _inputs(candidate: Runner, traces: Iterable[Trace], number: int) -> dict[str, list[torch.Tensor]]:
    """What the linear layers of one decoder layer are given in each trace; those that are given the same share it."""
    seen: dict[str, list[torch.Tensor]] = {}
    with ExitStack() as stack:
        for name in candidate.architecture.layers[number].linear.values():
            taken = seen.setdefault(name, [])
            stack.enter_context(entering(candidate.module(name), partial(_take, taken)))
        for trace in traces:
            candidate.step(trace, number, trace.states[number])
    return seen


def _take(taken: list[torch.Tensor], states: torch.Tensor) -> None:
    taken.append(states[0])


def compensating_bytes(candidate: Runner, tokens: int, room: float) -> int:
    """About what ``compensate`` holds, and what comes of it, but for states; nothing where it is not to be had.

    Args:
        candidate: The model.
        tokens: Of all points that it is given.
        room: Bits that there are for the factors.
    """
    model, names = candidate.model, early_first(candidate.architecture)
    if not tokens or not all_readable(model, names):
        return 0
    shapes = shapes_of(model, names)
    rank = rank_within(shapes, room)
    if rank is None:
        return 0
    factors = factor_bits(shapes, rank) // FACTOR_BITS
    widths = max(sum(shapes[name][1] for name in layer.linear.values()) for layer in candidate.architecture.layers)
    return (factors + min(tokens, MOST_TOKENS) * widths) * model.dtype.itemsize + error_bytes(shapes.values())


def rank_within(shapes: Mapping[str, tuple[int, int]], room: float) -> int | None:
    """The largest of ``RANKS`` whose factors take no more than some bits; None where none does.

    Args:
        shapes: Rows and columns of each layer.
        room: Bits that there are for all of them together.
    """
    return next((rank for rank in RANKS if factor_bits(shapes, rank) <= room), None)


def factor_bits(shapes: Mapping[str, tuple[int, int]], rank: int) -> int:
    """Bits of the factors of all layers."""
    return sum(FACTOR_BITS * min(rank, rows, columns) * (rows + columns) for rows, columns in shapes.values())
