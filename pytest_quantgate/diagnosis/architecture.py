"""Where the parts of a decoder are: layers, attention, feed-forward, linear modules, final norm and head; no torch.

What transformers builds in one of the common ways is found by its structure and the names of its linear modules. Others
are described by a `Layout`, which the hook ``pytest_quantgate_register_architectures`` adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from pytest_quantgate.errors import ModelError, UsageError, nearest

COMPONENTS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Canonical names of a layer's linear modules, in the order in which they are told."""

FUSED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
)
"""Canonical names of modules that are several components in one, in the order in which their outputs lie."""

# how transformers calls them, within the attention block and within the feed-forward one
_ATTENTION: Final = {each: each for each in ("q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj")} | {"dense": "o_proj"}
_FEED_FORWARD: Final = {each: each for each in ("gate_proj", "gate_up_proj", "up_proj", "down_proj")} | {
    "fc1": "up_proj",
    "fc2": "down_proj",
}
_WHOLE_ATTENTION: Final = ({"q_proj", "k_proj", "v_proj", "o_proj"}, {"qkv_proj", "o_proj"})
_WHOLE_FEED_FORWARD: Final = (
    {"gate_proj", "up_proj", "down_proj"},
    {"gate_up_proj", "down_proj"},
    {"up_proj", "down_proj"},
)

UNREADABLE: Final = (
    "describe its class in a conftest.py (pytest_quantgate_register_architectures), and run pytest with"
    " --quant-diagnose: `quantgate diagnose` loads no plugins"
)
"""What to do about a model that cannot be looked into."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a class of models names its parts.

    Attributes:
        layers: The list of decoder layers, such as ``model.layers``.
        attention: The attention block, within a layer; it returns its output and its attention weights.
        feed_forward: The feed-forward block, within a layer; it returns its output.
        linear: Canonical name, one of ``COMPONENTS`` or ``FUSED``, to the linear module within a layer.
        final_norm: What the residual stream goes through behind the last layer.
        head: What gives the logits.
    """

    layers: str
    attention: str
    feed_forward: str
    linear: Mapping[str, str]
    final_norm: str
    head: str = "lm_head"


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer, by full module names.

    Attributes:
        name: Its own, such as ``model.layers.3``.
        attention: Of its attention block.
        feed_forward: Of its feed-forward block.
        linear: Canonical name, one of ``COMPONENTS`` or ``FUSED``, to the linear module.
    """

    name: str
    attention: str
    feed_forward: str
    linear: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Where everything is in one model.

    Attributes:
        layers: The decoder layers, in the order in which they run.
        final_norm: Full name of the norm behind them.
        head: Full name of the output head.
        gated: Whether the feed-forward blocks have gates, whose signs say which neurons take part.
    """

    layers: tuple[Layer, ...]
    final_norm: str
    head: str
    gated: bool


_LAYOUTS: Final[dict[str, Layout]] = {}  # by name of the model's class; filled by plugins


class ArchitectureRegistry:
    """What the hook ``pytest_quantgate_register_architectures`` is given."""

    def register(self, model_class: str, layout: Layout) -> None:
        """Describe a class of models; registering the same layout again changes nothing.

        Args:
            model_class: Its name in transformers, such as ``GPT2LMHeadModel``.
            layout: Where its parts are.

        Raises:
            UsageError: The layout is none, is not whole, or another one is registered for this class.
        """
        where = f"architecture {model_class!r}"
        if not _is_layout(layout):
            raise UsageError("is registered with something other than a Layout", where=where)
        known = set(COMPONENTS) | set(FUSED)
        if unknown := sorted(set(layout.linear) - known):
            raise UsageError(f"no component is called {unknown[0]!r}", where=where, hint=nearest(unknown[0], known))
        if not any(one | other == set(layout.linear) for one in _WHOLE_ATTENTION for other in _WHOLE_FEED_FORWARD):
            raise UsageError(
                f"its components are not whole: {', '.join(layout.linear)}",
                where=where,
                hint="q_proj, k_proj and v_proj or qkv_proj; o_proj; gate_proj and up_proj, gate_up_proj or up_proj;"
                " down_proj",
            )
        if _LAYOUTS.setdefault(model_class, layout) != layout:
            raise UsageError("is described by two plugins", where=where, hint="remove one of them")


def unregister(model_class: str) -> None:
    """Forgets a class that was registered; unknown ones are ignored."""
    _LAYOUTS.pop(model_class, None)


def architecture_of(model: Any) -> Architecture:
    """Finds the parts of a model: as a plugin describes its class, else by structure.

    Args:
        model: A model of transformers with an output head; its weights do not matter.

    Raises:
        ModelError: Something is not there; with what was found.
    """
    where = type(model).__name__
    layout = _LAYOUTS.get(where) or _found(model, where)
    modules = dict(model.named_modules())
    found = modules.get(layout.layers)
    names = [] if found is None else [f"{layout.layers}.{name}" for name, _ in found.named_children()]
    layers = tuple(
        Layer(
            name=name,
            attention=f"{name}.{layout.attention}",
            feed_forward=f"{name}.{layout.feed_forward}",
            linear={component: f"{name}.{inside}" for component, inside in layout.linear.items()},
        )
        for name in names
    )
    wanted = [layout.final_norm, layout.head]
    wanted += [full for each in layers for full in (each.attention, each.feed_forward, *each.linear.values())]
    missing = [name for name in wanted if name not in modules] if layers else [f"{layout.layers}.0"]
    if missing:
        raise ModelError(f"the model has no module {missing[0]!r}", where=where, hint=UNREADABLE)
    gated = not layout.linear.keys().isdisjoint({"gate_proj", "gate_up_proj"})
    return Architecture(layers, layout.final_norm, layout.head, gated)


def _is_layout(layout: object) -> bool:
    """Whether another plugin's value is what its type says."""
    return isinstance(layout, Layout) and all(
        isinstance(getattr(layout, field.name), Mapping if field.name == "linear" else str) for field in fields(layout)
    )


def _found(model: Any, where: str) -> Layout:
    """The layout of a model that is built in one of the common ways."""
    decoder = set(model.get_decoder().modules())  # a model that sees has layers for that, too
    lists = [name for name, module in model.named_modules() if type(module).__name__ == "ModuleList"]
    lists = [name for name in lists if model.get_submodule(name) in decoder and len(model.get_submodule(name))]
    if not lists:
        raise ModelError("the model has no list of layers", where=where, hint=UNREADABLE)
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]  # no experts
    layers = max(outermost, key=lambda name: len(model.get_submodule(name)))
    first = model.get_submodule(layers)[0]
    attention = _block(first, _ATTENTION, _WHOLE_ATTENTION)
    feed_forward = _block(first, _FEED_FORWARD, _WHOLE_FEED_FORWARD)
    if attention is None or feed_forward is None:
        kind = "attention" if attention is None else "feed-forward"
        parts = "; ".join(f"{name} ({', '.join(dict(part.named_children()))})" for name, part in first.named_children())
        raise ModelError(
            f"no {kind} block of a known kind was found in its layers, which hold {parts}", where=where, hint=UNREADABLE
        )
    above = layers.rpartition(".")[0]
    norms = [name for name, child in model.get_submodule(above).named_children() if _is_norm(child)]
    if len(norms) != 1:
        raise ModelError(f"found {len(norms)} norms beside its layers, not one", where=where, hint=UNREADABLE)
    output = model.get_output_embeddings()
    heads = [name for name, child in model.named_modules() if child is output]
    if not heads:
        raise ModelError("the model has no output head", where=where, hint=UNREADABLE)
    return Layout(
        layers=layers,
        attention=attention[0],
        feed_forward=feed_forward[0],
        linear={**attention[1], **feed_forward[1]},
        final_norm=".".join(filter(None, (above, norms[0]))),
        head=heads[0],
    )


def _block(layer: Any, names: Mapping[str, str], whole: Sequence[set[str]]) -> tuple[str, dict[str, str]] | None:
    """The child of a layer that holds a whole set of linear modules, and these by canonical name."""
    for name, child in layer.named_children():
        inside = dict(child.named_children())
        held = {component: f"{name}.{each}" for each, component in names.items() if each in inside}
        if set(held) in whole:
            return name, held
    return None


def _is_norm(module: Any) -> bool:
    """Whether all that a module learned is vectors."""
    sizes = [parameter.dim() for parameter in module.parameters()]
    return bool(sizes) and set(sizes) == {1}
