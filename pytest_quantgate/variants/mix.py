"""``mix:FILE`` and ``mix:PATTERN=SPEC;PATTERN=SPEC``: each linear layer at the precision of the spec that names it.

The model is loaded as ``fp16``; then each spec's backend loads its own, from which the layers that the map gives to it
are moved over. Every layer is so exactly what its spec alone would make of it, whatever the backend. A spec may name a
model of its own, which is then loaded; whatever is no linear layer, and the tokenizer, are those of the whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.checkpoint import check_folder, read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.headers import TensorHeader
from pytest_quantgate.variants.identity import contents, third_party
from pytest_quantgate.variants.mix_fit import ABOVE, check_files
from pytest_quantgate.variants.mix_map import CLOSE, MixMap, read_map
from pytest_quantgate.variants.modules import EMBEDDING, HEAD, modules_of
from pytest_quantgate.variants.registry import Description, backend_of, check_here, describe, entry_of
from pytest_quantgate.variants.source import ModelSource, model_at_hand
from pytest_quantgate.variants.spec import MIX, VariantSpec, is_inline
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.stored import refuse_quantized

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

FP16: Final = VariantSpec("fp16")
"""What no pattern matches."""

_FP16_BITS: Final = 16
_UNKNOWN: Final = ("",)  # covers every module: which are quantized is checked one by one when they are loaded
_MATRIX: Final = 2
_OPENED: Final = re.compile(r"=\s*\([^;)]*$")  # the last part of a map, cut at the @ of its model


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
            ModelError: The checkpoint, or that of a part, cannot be read or is not on this machine.
        """
        return _describe(spec, folder)

    def check(self, spec: VariantSpec, folder: Path, placement: Placement) -> None:
        """Has each part refuse what it cannot load here; each loads the whole model, or its own.

        Raises:
            SpecError: One of them does, or leaves the output head as it is and the map gives it to that one, or its own
                model is not of the same architecture, shapes and norms.
            ModelError: A checkpoint cannot be read, or is refused.
        """
        rules = map_of(spec)
        where = f"variant {str(spec)!r}"
        layers = _layers_of(read_tensors(folder), rules, where)
        head = None if layers is None else layers.specs.get(HEAD)
        if head is not None and not describe(head, folder_of(head, folder)).head:
            what = f"{head}: it leaves {HEAD} as it is, and the map gives it to {head}"
            raise SpecError(what, where=rules.place_of(HEAD, where), hint=ABOVE)
        for each in rules.specs:
            own = folder_of(each, folder)
            with blamed(each, spec):
                if each.model is not None:
                    check_folder(own)
                    refuse_quantized(each, own)
                    check_files(each, own, folder, [] if layers is None else layers.names(each))
                check_here(each, own, placement_of(describe(each, own), placement))

    def make(self, spec: VariantSpec, folder: Path, placement: Placement, note: Callable[[str], None]) -> None:
        """Has the parts made that are made once."""
        for each in map_of(spec).specs:
            make = getattr(backend_of(each.name), "make", None)
            if make is not None:
                own = folder_of(each, folder)
                make(each, own, placement_of(describe(each, own), placement), note)

    def unmade(self, spec: VariantSpec, folder: Path, placement: Placement) -> Mapping[str, Path]:
        """What of the parts is not made yet."""
        found: dict[str, Path] = {}
        for each in map_of(spec).specs:
            unmade = getattr(backend_of(each.name), "unmade", None)
            if unmade is not None:
                own = folder_of(each, folder)
                found |= unmade(each, own, placement_of(describe(each, own), placement))
        return found

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
    opened = _OPENED.search(spec.scheme or "")
    if spec.model is not None and opened and is_inline(spec.scheme or ""):
        part = f"{opened[0].lstrip('= ')}@{spec.model.partition(';')[0]}"
        raise SpecError(f"a parenthesis is not closed: {part!r}", where=f"variant {str(spec)!r}", hint=CLOSE)
    if spec.model is not None and ";" in spec.model:
        raise SpecError(
            "the model of the whole stands behind the whole map, and not in the middle of it",
            where=f"variant {str(spec)!r}",
            hint="write a part that has a model of its own between parentheses, down_proj=(stored@MODEL), or the map "
            "into a file",
        )
    return read_map(spec.here.scheme or "")


def models_in(spec: VariantSpec) -> tuple[str, ...]:
    """The models that parts of a mix name as their own; none of another variant.

    Whoever finds the model of a variant finds these too, with ``resolve_model``: they are looked for here, and neither
    downloaded nor converted.

    Raises:
        SpecError: As for ``map_of``.
        FileError: As for ``map_of``.
    """
    return map_of(spec).models if spec.name == MIX else ()


def own_model(part: VariantSpec) -> ModelSource | None:
    """The model of its own that a part is made of; None where it has none.

    Raises:
        ModelError: It is not on this machine, or damaged.
    """
    if part.model is None:
        return None
    found = model_at_hand(part.model)
    if found is None:
        raise ModelError(
            f"the model of a part of a mix, {part}, is not on this machine",
            where=part.model,
            hint="check the name; a run with pytest downloads or converts it first",
        )
    return found


def folder_of(part: VariantSpec, folder: Path) -> Path:
    """The checkpoint that a part is made of.

    Args:
        part: A spec of a map.
        folder: The checkpoint of the whole.

    Raises:
        ModelError: As for ``own_model``.
    """
    own = own_model(part)
    return folder if own is None else own.folder


@contextmanager
def blamed(part: VariantSpec, spec: VariantSpec) -> Iterator[None]:
    """Has an error that a part gives name the part, and the mix.

    Raises:
        SpecError: The same.
    """
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{part}: {error.what}", where=f"variant {str(spec)!r}", hint=error.hint) from error


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

    def names(self, spec: VariantSpec) -> list[str]:
        """The layers of a spec."""
        return [name for name, each in self.specs.items() if each == spec]

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
    every = dict.fromkeys((*rules.specs, FP16))
    parts = {each: describe(each, None if folder is None else folder_of(each, folder)) for each in every}
    quantizing = {each: part for each, part in parts.items() if part.max_bits is not None}
    dtypes = {part.cuda_dtype for part in quantizing.values()}
    elsewhere = [f"{each}: {part.summary}" for each, part in parts.items() if each.name == STORED and each.model]
    patterns = ", ".join(f"{pattern} {each}" for pattern, each in rules.rules)
    general = Description(
        summary="; ".join([f"mixed: {patterns}, all else fp16", *elsewhere]),
        stored_bits=max((part.stored_bits for part in quantizing.values()), default=_FP16_BITS),
        max_bits=max((part.max_bits or 0 for part in quantizing.values()), default=None),
        cuda_dtype=dtypes.pop() if len(dtypes) == 1 else parts[FP16].cuda_dtype,
        dense=any(part.dense for part in quantizing.values()),
        native=any(part.native for part in quantizing.values()) or not quantizing,
        skipped=_UNKNOWN,
        identity=_identity(spec, rules, parts, found=folder is not None),
        requires=_requires(parts),
        native_requires={module: name for part in parts.values() for module, name in part.native_requires.items()},
    )
    layers = None if folder is None else _layers_of(read_tensors(folder), rules, f"variant {str(spec)!r}")
    if layers is None:
        return general
    counts = Counter(layers.specs.values())
    told = ", ".join(f"{count:,} {each}" for each, count in counts.items())
    bits = layers.mean({each: part.bits for each, part in parts.items()})
    unknown = any(part.bits is None for part in quantizing.values())  # a checkpoint of mixed bits
    return replace(
        general,
        summary="; ".join([f"mixed: of {len(layers.weights):,} linear layers {told}", *elsewhere]),
        stored_bits=layers.mean({each: part.stored_bits for each, part in quantizing.items()}) or general.stored_bits,
        max_bits=layers.mean({each: part.max_bits for each, part in quantizing.items()}),
        skipped=tuple(name for name, each in layers.specs.items() if each not in quantizing),
        bits=None if bits is None or unknown else round(bits, 2),
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


def _identity(
    spec: VariantSpec, rules: MixMap, parts: Mapping[VariantSpec, Description], *, found: bool
) -> dict[str, str]:
    """The map, and what each spec in it depends on; where the map was read, and where models lie, is all one.

    Models of parts are numbered in the order of the map, and known by their files as that of the whole is; tokenizers
    too, for what is calibrated reads them.
    """
    models = rules.models
    named = {
        each: each if each.model is None else replace(each, model=str(1 + models.index(each.model))) for each in parts
    }
    fields = {
        "spec": str(VariantSpec(MIX, kv=spec.kv)),
        "mix": str(MixMap(tuple((pattern, named[each]) for pattern, each in rules.rules))),
    }
    for each, part in parts.items():
        entry, model = entry_of(each.name), own_model(each) if found else None
        own = dict(part.identity) | third_party(entry.target) if model is None else contents(model, entry, part)
        fields |= {f"{named[each]} {name}": value for name, value in own.items()}
    return fields


def _requires(parts: Mapping[VariantSpec, Description]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each, part in parts.items():
        found |= entry_of(each.name).requires
        found |= part.requires
    return found
