"""The part of the mixed backend that needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.mix import FP16, blamed, folder_of, map_of, placement_of
from pytest_quantgate.variants.mix_fit import ABOVE, check_loaded, some
from pytest_quantgate.variants.plain import BACKEND as PLAIN
from pytest_quantgate.variants.registry import Backend, backend_of, describe
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BACKEND: Final = "quantgate_backend"  # on a layer that was moved over: the backend that it comes from
_GRAFTS: Final = "quantgate_grafts"  # on a model: where its layers come from


@dataclass(frozen=True, slots=True)
class _Graft:
    """Layers of one spec.

    Attributes:
        backend: Loaded them.
        placement: How they are run.
        donor: The model that it loaded, of which nothing is left but these layers.
        names: Their names.
    """

    backend: Backend
    placement: Placement
    donor: PreTrainedModel
    names: tuple[str, ...]


def load(spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
    """See ``MixBackend.load``."""
    model = PLAIN.load(FP16, folder, placement)
    shapes, head = _linear_layers(model)
    resolved = map_of(spec).resolve(shapes, head, f"variant {str(spec)!r}")
    moved = {name: each for name, each in resolved.items() if each != FP16}
    for name in moved:
        model.set_submodule(name, nn.Identity())  # its memory is given back
    grafts = []
    for each in dict.fromkeys(moved.values()):
        own = {name: shapes[name] for name, its in moved.items() if its == each}
        with blamed(each, spec):
            graft = _graft(each, folder, placement, model, own)
        for name in graft.names:
            layer = graft.donor.get_submodule(name)
            setattr(layer, _BACKEND, graft.backend)
            model.set_submodule(name, layer)
        grafts.append(graft)
    setattr(model, _GRAFTS, grafts)
    return model


def _linear_layers(model: PreTrainedModel) -> tuple[dict[str, tuple[int, ...]], str]:
    """The shape of each linear layer by its name, and the name of the output head; empty where that is none."""
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    shapes = {name: tuple(module.weight.shape) for name, module in linear.items()}
    return shapes, next((name for name, module in linear.items() if module is head), "")


def _graft(
    spec: VariantSpec,
    folder: Path,
    placement: Placement,
    model: PreTrainedModel,
    shapes: Mapping[str, tuple[int, ...]],
) -> _Graft:
    """Layers as a spec makes them.

    Args:
        spec: Of some layers.
        folder: The checkpoint of the whole.
        placement: Where the whole goes.
        model: The whole, without the layers that are moved to it.
        shapes: The shape that it has of each of these layers, by their names.

    Raises:
        SpecError: The spec leaves one of them as it is, or has a model of its own whose layers do not fit.
    """
    backend, own, names = backend_of(spec.name), folder_of(spec, folder), tuple(shapes)
    part = describe(spec, own)
    placement = placement_of(part, placement)
    donor = backend.load(spec, own, placement)
    if spec.model is not None:
        check_loaded(donor, model, shapes)
    if part.max_bits is not None:
        left = [name for name in names if backend.stored_bytes(donor.get_submodule(name)) is None]
        if left:
            raise SpecError(f"it leaves {some(left)} as it is, and the map gives it to {spec}", hint=ABOVE)
    _strip(donor, backend, names)
    return _Graft(backend, placement, donor, names)


def _strip(donor: PreTrainedModel, backend: Backend, names: tuple[str, ...]) -> None:
    """Take everything out of a model but some layers."""
    kept = {id(module) for name in names for module in donor.get_submodule(name).modules()}
    for name, module in list(donor.named_modules()):
        if id(module) in kept:
            continue
        if isinstance(module, nn.Linear) or backend.stored_bytes(module) is not None:
            donor.set_submodule(name, nn.Identity())
        else:
            for parameter, _ in list(module.named_parameters(recurse=False)):
                setattr(module, parameter, None)


def stored_bytes(module: nn.Module) -> int | None:
    """See ``MixBackend.stored_bytes``."""
    backend: Backend | None = getattr(module, _BACKEND, None)
    return None if backend is None else backend.stored_bytes(module)


def finish(model: PreTrainedModel, placement: Placement) -> None:
    """See ``MixBackend.finish``: each backend does it on a model that holds its own layers only."""
    grafts: list[_Graft] = model.__dict__.pop(_GRAFTS)
    for graft in grafts:
        for name in graft.names:
            model.set_submodule(name, nn.Identity())
    PLAIN.finish(model, placement)
    while grafts:
        graft = grafts.pop(0)
        graft.backend.finish(graft.donor, graft.placement)
        for name in graft.names:
            layer = graft.donor.get_submodule(name)
            layer.__dict__.pop(_BACKEND, None)
            model.set_submodule(name, layer)
