"""``mix:FILE`` and ``mix:PATTERN=SPEC;PATTERN=SPEC``: each linear layer at the precision of the spec that names it.

The model is loaded as ``fp16``; then each spec's backend loads its own, from which the layers that the map gives to it
are moved over. Every layer is so exactly what its spec alone would make of it, whatever the backend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.identity import third_party
from pytest_quantgate.variants.mix_map import MixMap, read_map
from pytest_quantgate.variants.modules import EMBEDDING, HEAD, modules_of
from pytest_quantgate.variants.registry import Description, backend_of, check_here, describe, entry_of
from pytest_quantgate.variants.spec import MIX, VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

FP16: Final = VariantSpec("fp16")
"""What no pattern matches."""

_FP16_BITS: Final = 16
_UNKNOWN: Final = ("",)  # covers every module: which are quantized is checked one by one when they are loaded
_MATRIX: Final = 2


class MixBackend:
    """Loads mixed variants."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means for any model.

        Raises:
            SpecError: The map, or a spec in it, is wrong.
            FileError: The file that holds the map is.
        """
        return _describe(spec, None)

    def inspect(self, spec: VariantSpec, folder: Path) -> Description:
        """What the spec means for a checkpoint folder, with the number of layers of each spec.

        Raises:
            SpecError: As for ``describe``; or a pattern matches no linear layer.
            FileError: As for ``describe``.
            ModelError: The checkpoint cannot be read.
        """
        return _describe(spec, folder)

    def check(self, spec: VariantSpec, folder: Path, placement: Placement) -> None:
        """Has each part refuse what it cannot load here; each loads the whole model.

        Raises:
            SpecError: One of them does.
            ModelError: The checkpoint cannot be read.
        """
        for each in map_of(spec).specs:
            try:
                check_here(each, folder, placement_of(describe(each, folder), placement))
            except SpecError as error:
                raise SpecError(f"{each}: {error.what}", where=f"variant {str(spec)!r}", hint=error.hint) from error

    def make(self, spec: VariantSpec, folder: Path, placement: Placement, note: Callable[[str], None]) -> None:
        """Has the parts made that are made once."""
        for each in map_of(spec).specs:
            make = getattr(backend_of(each.name), "make", None)
            if make is not None:
                make(each, folder, placement_of(describe(each, folder), placement), note)

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights and moves the layers of each spec over.

        Raises:
            SpecError: A pattern matches no linear layer, or a spec leaves one alone that the map gives to it.
        """
        from pytest_quantgate.variants.mix_loading import load  # imports torch

        return load(spec, folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """What the backend that the module comes from says."""
        from pytest_quantgate.variants.mix_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Lets each backend finish its own layers."""
        from pytest_quantgate.variants.mix_loading import finish

        finish(model, placement)


BACKEND: Final = MixBackend()


def placement_of(part: Description, placement: Placement) -> Placement:
    """Where the layers of one spec of a map run: by the kernels of the whole, where it has such."""
    kernels = placement.kernels
    if part.max_bits is not None:
        kernels = "native" if not part.dense else "dense" if not part.native else kernels
    return replace(placement, kernels=kernels)


def map_of(spec: VariantSpec) -> MixMap:
    """The map of a mixed variant.

    Raises:
        SpecError: It is wrong.
        FileError: The file that holds it is.
    """
    if spec.model is not None and ";" in spec.model:
        raise SpecError(
            "another model cannot be part of a mix", where=f"variant {str(spec)!r}", hint="@MODEL stands behind it"
        )
    return read_map(spec.here.scheme or "")


@dataclass(frozen=True, slots=True)
class _Layers:
    """The weights of a checkpoint, and what becomes of them.

    Attributes:
        weights: Number of weights of each linear layer.
        specs: The spec of each of them.
        others: Number of all other weights: of embeddings and norms.
    """

    weights: Mapping[str, int]
    specs: Mapping[str, VariantSpec]
    others: int

    def of(self, *specs: VariantSpec) -> int:
        """Number of weights in the layers of some specs."""
        return sum(weights for name, weights in self.weights.items() if self.specs[name] in specs)

    def mean(self, values: Mapping[VariantSpec, float | None]) -> float | None:
        """The mean over the weights of all layers whose specs have a value; None when there is none."""
        known = [(value, self.of(spec)) for spec, value in values.items() if value is not None]
        total = sum(weights for _, weights in known)
        return sum(value * weights for value, weights in known) / total if total else None


def _describe(spec: VariantSpec, folder: Path | None) -> Description:
    rules = map_of(spec)
    parts = {each: describe(each, folder) for each in dict.fromkeys((*rules.specs, FP16))}
    quantizing = {each: part for each, part in parts.items() if part.max_bits is not None}
    dtypes = {part.cuda_dtype for part in quantizing.values()}
    general = Description(
        summary=f"mixed: {', '.join(f'{pattern} {each}' for pattern, each in rules.rules)}, all else fp16",
        stored_bits=max((part.stored_bits for part in quantizing.values()), default=_FP16_BITS),
        max_bits=max((part.max_bits or 0 for part in quantizing.values()), default=None),
        cuda_dtype=dtypes.pop() if len(dtypes) == 1 else parts[FP16].cuda_dtype,
        dense=any(part.dense for part in quantizing.values()),
        native=any(part.native for part in quantizing.values()) or not quantizing,
        skipped=_UNKNOWN,
        identity=_identity(spec, rules, parts),
        requires=_requires(parts),
        native_requires={module: name for part in parts.values() for module, name in part.native_requires.items()},
    )
    layers = None if folder is None else _layers_of(read_tensors(folder), rules, f"variant {str(spec)!r}")
    if layers is None:
        return general
    counts = Counter(layers.specs.values())
    told = ", ".join(f"{count:,} {each}" for each, count in counts.items())
    bits = layers.mean({each: part.bits for each, part in parts.items()})
    return replace(
        general,
        summary=f"mixed: of {len(layers.weights):,} linear layers {told}",
        stored_bits=layers.mean({each: part.stored_bits for each, part in quantizing.items()}) or general.stored_bits,
        max_bits=layers.mean({each: part.max_bits for each, part in quantizing.items()}),
        skipped=tuple(name for name, each in layers.specs.items() if each not in quantizing),
        bits=None if bits is None else round(bits, 2),
        loading_bytes=_loading_bytes(layers, parts),
    )


def _layers_of(tensors: Sequence[TensorHeader], rules: MixMap, where: str) -> _Layers | None:
    """What the files tell of the layers; None where transformers may know them by other names."""
    if not modules_of(tensors):
        return None
    counts = {tensor.name.removesuffix(".weight"): tensor.count for tensor in tensors if len(tensor.shape) == _MATRIX}
    embedding = next((count for name, count in counts.items() if name.endswith(EMBEDDING)), 0)
    weights = {name: count for name, count in counts.items() if not name.endswith(EMBEDDING)}
    resolved = rules.resolve((*weights, *({HEAD} - weights.keys())), HEAD, where)
    if HEAD in resolved:
        weights.setdefault(HEAD, embedding)  # tied, until it is quantized
    specs = {name: resolved.get(name, FP16) for name in weights}
    return _Layers(weights, specs, sum(tensor.count for tensor in tensors) - sum(weights.values()))


def _loading_bytes(layers: _Layers, parts: Mapping[VariantSpec, Description]) -> int:
    """The most that is held while the layers are put together: those that are there, and one more whole model."""
    every = sum(layers.weights.values())
    held = layers.others + layers.of(FP16)
    most = kept = 0.0
    for spec, part in parts.items():
        whole = (every * part.stored_bits + layers.others * _FP16_BITS) / 8
        most = max(most, held * _FP16_BITS / 8 + kept + whole, part.loading_bytes + held * _FP16_BITS / 8 + kept)
        if spec != FP16:
            kept += layers.of(spec) * part.stored_bits / 8
    return int(most)


def _identity(spec: VariantSpec, rules: MixMap, parts: Mapping[VariantSpec, Description]) -> dict[str, str]:
    """The map, and what each spec in it depends on; where the map was read is all one."""
    fields = {"spec": str(VariantSpec(MIX, kv=spec.kv)), "mix": str(rules)}
    for each, part in parts.items():
        own = dict(part.identity) | third_party(entry_of(each.name).target)
        fields |= {f"{each} {name}": value for name, value in own.items()}
    return fields


def _requires(parts: Mapping[VariantSpec, Description]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each, part in parts.items():
        found |= entry_of(each.name).requires
        found |= part.requires
    return found
