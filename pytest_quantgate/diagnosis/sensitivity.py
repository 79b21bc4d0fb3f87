"""Which linear layers of a candidate to protect first. Imports torch: import it only to run models.

Early layers and weights of high kurtosis are those of Zhou et al., From Signal Degradation to Computation Collapse
(section 4.3.1); what its components and layers lose alone is measured by ``diagnosis.causal`` (its appendix C.1); the
fourth asks the cases themselves, by one gradient each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import nn

from pytest_quantgate.diagnosis.architecture import Architecture
from pytest_quantgate.diagnosis.hooks import leaving, run_by
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.points import Point
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.weights import all_readable, error_bytes, output_error_of, shapes_of
from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.variants.dense import is_ordinary, is_readable, weight_in

HEADROOM: Final = 1.0
"""Nats of predicted margin that count for a case: a prediction is not exact, and what is more does not help another."""

LONGEST: Final = 640
"""Tokens of a point that has a gradient: it takes the activations of all layers at a time."""

_HIDDEN: Final = 12  # vectors that a decoder layer of a Llama keeps of a token for a gradient: 7 in float32, and norms
_INNER: Final = 4  # that are computed in float32 keep more; and as many of its feed-forward block's inner width


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """What each linear layer's error does to each case, to the first order.

    Attributes:
        names: Full names of the layers.
        margins: The candidate's logit of the reference's token less that of its own, ``(points,)``.
        effects: What is added to the margin when one layer is the reference's, ``(points, layers)``.
        shares: How much each point counts, ``(points,)``: those of one case count as much together as another case.
    """

    names: tuple[str, ...]
    margins: torch.Tensor
    effects: torch.Tensor
    shares: torch.Tensor


def early_first(architecture: Architecture) -> tuple[str, ...]:
    """Full names of all linear layers, those of the first decoder layer first."""
    return tuple(name for layer in architecture.layers for name in layer.linear.values())


def kurtosis(weights: torch.Tensor) -> float:
    """Excess kurtosis, E[(w - mean)^4] / variance^2 - 3: 0 for a normal distribution; 0 where all weights are equal.

    Args:
        weights: Of any shape and precision; computed in float32.
    """
    centered = weights.float() - weights.float().mean()
    variance = centered.square().mean()
    if not variance > 0:
        return 0.0
    return float((centered / variance.sqrt()).pow(4).mean()) - 3.0


def by_kurtosis(reference: nn.Module, names: Sequence[str]) -> tuple[str, ...]:
    """Layers by the excess kurtosis of the reference's weights, highest first: outliers stretch a quantizer's grid.

    Args:
        reference: The model that is trusted.
        names: Full names of the layers; those whose weights cannot be read come last.
    """
    layers = {name: reference.get_submodule(name) for name in names}
    found = {name: kurtosis(weight_in(layer)) for name, layer in layers.items() if is_readable(layer)}
    return tuple(sorted(names, key=lambda name: -found.get(name, -float("inf"))))


def by_effect(architecture: Architecture, causal: Measured) -> tuple[str, ...] | None:
    """Layers by what their component and their decoder layer lose alone, most first; earlier ones first of equals.

    Args:
        architecture: Of the models.
        causal: What ``causal_tests`` gave; a decoder layer that it did not look at stands where the nearest one does.

    Returns:
        None where nothing was measured.
    """
    components = {
        each.part: 1 - each.value
        for each in causal.values
        if each.measure == "one_component" and each.value is not None
    }
    layers = {
        at: 1 - value
        for curve in causal.curves
        if curve.measure == "one_layer"
        for at, value in zip(curve.at, curve.values, strict=True)
        if value is not None
    }
    if not components and not layers:
        return None
    lost = {
        name: components.get(component, 0.0) + (layers[min(layers, key=lambda at: abs(at - number))] if layers else 0.0)
        for number, layer in enumerate(architecture.layers)
        for component, name in layer.linear.items()
    }
    return tuple(sorted(lost, key=lambda name: -lost[name]))


def attribute(
    reference: nn.Module,
    candidate: Runner,
    points: Sequence[Point],
    names: Sequence[str],
    check: Callable[[], None] = lambda: None,
    *,
    layers: Mapping[str, nn.Module] | None = None,
) -> Attribution | None:
    """What each layer's quantization error does to the margin of each case, to the first order.

    Of a layer with outputs y_t, the sum over all positions t of <dm/dy_t, e_t>, with m the logit of the reference's
    token less that of the candidate's (or of its best other token, where it gave none), and e_t what the output lacks:
    (W_reference - W_candidate) x_t of inputs x_t, and W_reference x_t - y_t of a layer that quantizes them too. One
    pass and one gradient per point, and one more product with each weight; no gradients of weights. Keys and values are
    not quantized meanwhile.

    A quantized layer runs by its own kernels, not all of which have a gradient; it gets that of the weight that it
    stands for.

    Args:
        reference: The model that is trusted.
        candidate: The one that broke.
        points: Where.
        names: Full names of the linear layers.
        check: Called before each point; what it raises goes through.
        layers: The candidate's own, by name, where it holds some others now: then errors are those of their weights,
            and effects those around the model as it is.

    Returns:
        Without the points of more than ``LONGEST`` tokens, and those whose logits are not numbers. None where the
        weights of a layer of either model cannot be read.
    """
    own = layers or {name: candidate.module(name) for name in names}
    if not all_readable(reference, names) or not all(map(is_readable, own.values())):
        return None
    rows: list[tuple[str, float, list[float]]] = []
    for point in points:
        if len(point.token_ids) > LONGEST:
            continue
        check()
        margin, effects = _effects(reference, candidate, point, own)
        if torch.isfinite(torch.tensor([margin, *effects.values()])).all():
            rows.append((point.case_id, margin, [effects.get(name, 0.0) for name in names]))
    of_case = Counter(case_id for case_id, _, _ in rows)
    return Attribution(
        tuple(names),
        torch.tensor([margin for _, margin, _ in rows]),
        torch.tensor([effects for _, _, effects in rows]).reshape(len(rows), len(names)),
        torch.tensor([1 / of_case[case_id] for case_id, _, _ in rows]),
    )


def activations_bytes(candidate: Runner, tokens: int) -> int:
    """About what a pass with a gradient holds; nothing where there is none, since weights cannot be read.

    Args:
        candidate: The model.
        tokens: Of the longest point; one of more than ``LONGEST`` has no gradient.
    """
    model, names = candidate.model, early_first(candidate.architecture)
    if not all_readable(model, names):
        return 0
    shapes = shapes_of(model, names).values()
    widest = max(rows for rows, _ in shapes)
    kept = _HIDDEN * int(model.config.get_text_config(decoder=True).hidden_size) + _INNER * widest
    return min(tokens, LONGEST) * candidate.n_layers * kept * model.dtype.itemsize + error_bytes(shapes)


def by_cover(attribution: Attribution, cost: Mapping[str, float]) -> tuple[str, ...]:
    """Layers by what each adds to the cases that those before it leave short, most for its cost first.

    A case counts by its predicted margin up to ``HEADROOM``: what turned a case back is not done twice, and what would
    turn a preserved one is held against a layer. Of a case with several points each has its share.

    Args:
        attribution: What each layer's error does to each case.
        cost: What keeping each layer costs, above 0, such as its number of weights; only these are ordered.
    """
    names = [name for name in attribution.names if name in cost]
    effects = attribution.effects[:, [attribution.names.index(name) for name in names]]
    costs = torch.tensor([cost[name] for name in names])
    margins = attribution.margins
    left = torch.ones(len(names), dtype=torch.bool)
    found: list[str] = []
    for _ in names:
        gains = (margins[:, None] + effects).clamp(max=HEADROOM) - margins[:, None].clamp(max=HEADROOM)
        best = int(torch.where(left, attribution.shares @ gains / costs, -torch.inf).argmax())
        found.append(names[best])
        left[best] = False
        margins = margins + effects[:, best]
    return tuple(found)


def _effects(
    reference: nn.Module, candidate: Runner, point: Point, own: Mapping[str, nn.Module]
) -> tuple[float, dict[str, float]]:
    """The margin of one point, and what each layer's error does to it."""
    effects: dict[str, float] = {}

    def watch(name: str, _: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        output.register_hook(partial(weigh, name, inputs[0].detach()))  # type: ignore[no-untyped-call]

    def weigh(name: str, inputs: torch.Tensor, gradient: torch.Tensor) -> None:
        error = output_error_of(reference.get_submodule(name), own[name], inputs)
        effects[name] = float((gradient.float() * error).sum())

    model: Any = candidate.model
    ids = torch.tensor([point.token_ids])
    with ExitStack() as stack, torch.enable_grad():
        # the first tensor of the pass takes part in gradients, and so does all that follows; no weight does
        stack.enter_context(leaving(model.get_input_embeddings(), lambda output: output.requires_grad_()))
        for name in own:
            stack.callback(candidate.module(name).register_forward_hook(partial(watch, name)).remove)
        for module in [each for each in model.modules() if is_readable(each) and not is_ordinary(each)]:
            stack.enter_context(run_by(module, partial(_StraightThrough.apply, module, module.forward)))
        logits = logits_of(model, input_ids=ids, use_cache=False, logits_to_keep=1)[0, -1].float()
        rival = point.rival
        if rival is None:
            rival = next(token for token in logits.topk(2).indices.tolist() if token != point.target)
        margin = logits[point.target] - logits[rival]
        torch.autograd.backward(margin)
    return float(margin.detach()), effects


class _StraightThrough(torch.autograd.Function):
    """A layer's outputs as its own kernels compute them, with the gradient of the weight that it stands for."""

    @staticmethod
    def forward(
        ctx: Any, layer: nn.Module, forward: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor
    ) -> torch.Tensor:
        ctx.layer = layer
        return forward(inputs.detach())  # of inputs that want a gradient, some kernels would keep one

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        (gradient,) = gradients
        return None, None, gradient @ weight_in(ctx.layer).to(gradient.dtype)
