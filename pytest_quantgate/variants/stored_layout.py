"""Which tensors of a quantized checkpoint make up its layers, told from their headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from pytest_quantgate.errors import ModelError
from pytest_quantgate.variants.headers import PLAIN_DTYPES, TensorHeader
from pytest_quantgate.variants.stored_config import Storage

# by method: the tensor that holds a layer's numbers, and the layer's name in its own
_DATA: Final = {
    "gptq": r"(.+)\.qweight",
    "awq": r"(.+)\.qweight",
    "bitsandbytes": r"(.+)\.weight",
    "compressed-tensors": r"(.+)\.weight(?:_packed)?",
    "torchao": r"(.+)\._weight_qdata",
    "quanto": r"(.+)\.weight\._data(?:\._data)?",
    "fp8": r"(.+)\.weight",
    "mxfp4": r"(.+)\.(?:gate_up_proj|down_proj)_blocks",
}
# and what must stand beside it: without it, some libraries go on with numbers that mean nothing
_SCALES: Final = {
    "gptq": (".scales", ".qzeros"),
    "awq": (".scales", ".qzeros"),
    "bitsandbytes": (".weight.absmax|.SCB",),
    "compressed-tensors": (".weight_scale",),
    "torchao": ("._weight_scale|._weight_scale_and_zero",),
    "quanto": (".weight._scale",),
    "fp8": (".weight_scale_inv|.scale|.qscale_weight",),
    "mxfp4": (".gate_up_proj_scales", ".down_proj_scales"),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A quantized layer, or all experts of one.

    Attributes:
        name: Its module's name in the checkpoint.
        weights: How many weights it has.
        stored_bytes: What they take, with scales and whatever else is stored for them.
    """

    name: str
    weights: int
    stored_bytes: int


def layers_of(storage: Storage, tensors: Iterable[TensorHeader], where: str) -> tuple[Layer, ...]:
    """The quantized layers of a checkpoint, in order of their names.

    Args:
        storage: How it is quantized.
        tensors: All its tensors.
        where: Its folder, for messages.

    Raises:
        ModelError: There are none, one has no scales, or by the configuration no weights.
    """
    tensors = tuple(tensors)
    by_name = {tensor.name: tensor for tensor in tensors}
    data = re.compile(_DATA[storage.method])
    weights: dict[str, int] = {}
    for tensor in tensors:
        found = data.fullmatch(tensor.name)
        if found and tensor.dtype not in PLAIN_DTYPES and tensor.nbytes:
            count = _weights_in(tensor, storage, by_name.get(f"{found[1]}.weight_scale"))
            weights[found[1]] = weights.get(found[1], 0) + count
    stored = dict.fromkeys(weights, 0)
    for tensor in tensors:
        owner = _owner(tensor.name, stored)
        if owner is not None and not tensor.name.endswith("bias"):
            stored[owner] += tensor.nbytes
    if not weights:
        raise ModelError(
            f"its configuration says {storage.title}, and no tensor of its files is stored so",
            where=where,
            hint="check that its config.json belongs to its weights, and that no file is left out",
        )
    for layer, count in weights.items():
        if not count:
            raise ModelError(
                f"by its configuration, which says {storage.title}, what is stored for {layer} holds no weight",
                where=where,
                hint="check that its config.json belongs to its weights",
            )
        for scales in _needed(storage, layer, by_name):
            if not any(f"{layer}{each}" in by_name for each in scales.split("|")):
                raise ModelError(
                    f"weights are missing from the files: {layer}{scales.partition('|')[0]}",
                    where=where,
                    hint="check that no file is left out, or download or copy it again",
                )
    return tuple(Layer(name, weights[name], stored[name]) for name in sorted(weights))


def _needed(storage: Storage, layer: str, by_name: Mapping[str, TensorHeader]) -> tuple[str, ...]:
    """What must stand beside a layer's numbers."""
    absmax = by_name.get(f"{layer}.weight.absmax")
    if absmax is not None and absmax.dtype not in PLAIN_DTYPES:  # of bitsandbytes, quantized again
        return (*_SCALES[storage.method], ".weight.nested_absmax")
    return _SCALES[storage.method]


def _weights_in(tensor: TensorHeader, storage: Storage, scales: TensorHeader | None) -> int:
    """How many weights a tensor holds: by its bits, or where layers differ in these, by their groups."""
    unpacked = storage.method == "compressed-tensors" and not tensor.name.endswith("_packed")
    if storage.bits is not None:
        count = int(tensor.nbytes * 8 / storage.bits)
        return min(count, tensor.nbytes) if unpacked else count  # a byte holds one, of however few bits
    if not tensor.name.endswith("_packed"):
        return tensor.nbytes  # as above
    if storage.group is not None and scales is not None:
        return scales.count * storage.group
    return tensor.nbytes * 8 // min(storage.mixed, default=8)  # as many as there can be


def _owner(tensor: str, layers: dict[str, int]) -> str | None:
    """The layer that a tensor belongs to."""
    name = tensor
    while name := name.rpartition(".")[0]:
        if name in layers:
            return name
    return None


def check_blocks(storage: Storage, tensors: Iterable[TensorHeader], where: str) -> None:
    """Refuses FP8 matrices that end within a block: transformers would cut them into blocks of another size.

    Args:
        storage: How the checkpoint is quantized; what has no blocks passes.
        tensors: All its tensors.
        where: Its folder, for messages.

    Raises:
        ModelError: With the first of them.
    """
    block: tuple[int, int] | None = storage.details.get("block")
    if block is None:
        return
    by_name = {tensor.name: tensor for tensor in tensors}
    for tensor in by_name.values():
        scales = by_name.get(f"{tensor.name}_scale_inv")
        if scales is None or not len(tensor.shape) == len(scales.shape) == len(block):
            continue
        axes = zip(tensor.shape, scales.shape, block, strict=True)
        if any(count > 1 and size % length and count == ceil(size / length) for size, count, length in axes):
            raise ModelError(
                f"{tensor.name}, {_by(tensor.shape)}, is no whole number of blocks of {_by(block)}",
                where=where,
                hint="gate it as a served model, or name the unquantized model that it was made from",
            )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def as_plain(tensors: Iterable[TensorHeader], layers: Iterable[Layer]) -> tuple[TensorHeader, ...]:
    """The headers that the same model would have without quantization, for estimates: one matrix a layer."""
    by_name = {layer.name: layer.stored_bytes for layer in layers}
    rest = tuple(tensor for tensor in tensors if _owner(tensor.name, by_name) is None or tensor.name.endswith("bias"))
    return (*rest, *(TensorHeader(f"{layer.name}.weight", "F16", (layer.weights, 1)) for layer in layers))
