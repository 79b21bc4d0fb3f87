"""``stored``: the weights as their checkpoint holds them, quantized elsewhere or another plain model.

What is stored is told from config.json, or from the GGUF file that a folder was converted from; ``stored_config`` and
``gguf_types`` say how. A quantized checkpoint is audited by what its files hold for each layer. On a CPU its layers are
spread out once, like those of every weight-only variant; FP8 and MXFP4 checkpoints have no other way there, so what
kernels of a GPU round of the activations is not judged on a CPU. GPTQ, AWQ and compressed-tensors checkpoints, which
servers run by kernels of their own, are spread out on every device.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import AuditError, ModelError, SpecError
from pytest_quantgate.variants.checkpoint import read_tensors, storage_in
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.digests import file_digest
from pytest_quantgate.variants.gguf import types_in
from pytest_quantgate.variants.gguf_types import GgufTypes
from pytest_quantgate.variants.headers import PLAIN_DTYPES, TensorHeader
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import MIX, VariantSpec
from pytest_quantgate.variants.stored_config import QUANTO_MAP, Storage
from pytest_quantgate.variants.stored_layout import as_plain, layers_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

NAME: Final = "stored"
HALF_BITS: Final = 16
_COMPUTE: Final = {"F16": "float16", "BF16": "bfloat16"}
_MOSTLY_PLAIN: Final = 12  # bits: with the most that GGUF quantizes to, 8.5, half of the weights would be in fp16
_OF_SERVERS: Final = ("gptq", "awq", "compressed-tensors", "fp8", "mxfp4")  # no kernels for their weights here
_SLACK: Final = 2  # a checkpoint of 4 bits that takes 8 a weight is none; scales of small groups may well take two


class StoredBackend:
    """Loads checkpoints as they are."""

    def describe(self, spec: VariantSpec) -> Description:  # noqa: ARG002  (the protocol's signature)
        """What the spec means where the checkpoint is not known yet."""
        return Description(
            summary="weights as the checkpoint stores them",
            stored_bits=HALF_BITS,
            max_bits=None,
            cuda_dtype="float16",
            dense=True,
        )

    def inspect(self, spec: VariantSpec, folder: Path) -> Description:
        """What the spec means for a checkpoint.

        Raises:
            AuditError: A GGUF file calls itself quantized, and most of it is not.
            ModelError: The checkpoint cannot be read.
        """
        tensors = read_tensors(folder)
        types = types_in(folder)
        if types is not None:
            return _of_gguf(types, spec)
        storage = storage_in(folder)
        if storage is not None:
            return _of_storage(storage, tensors, folder)
        dtype = plain_dtype(tensors)
        return Description(
            summary=f"plain weights as the checkpoint stores them ({dtype or 'several precisions'}), nothing quantized",
            stored_bits={"float32": 32}.get(dtype, HALF_BITS),
            max_bits=None,
            cuda_dtype=dtype or "float32",
            bits={"float32": 32, "float16": 16, "bfloat16": 16}.get(dtype),
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:  # noqa: ARG002  (as above)
        """Loads the weights as they are stored, or where its library cannot hold them so, spread out."""
        from pytest_quantgate.variants.stored_loading import load  # imports torch

        return load(folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes that the checkpoint's files hold for a layer."""
        found: int | None = getattr(module, STORED, None)
        return found

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings the model to its compute dtype and kernels."""
        from pytest_quantgate.variants.stored_loading import finish

        finish(model, placement)


STORED: Final = "quantgate_stored_bytes"
"""Attribute of a loaded module: what its checkpoint stores for it."""


def plain_dtype(tensors: tuple[TensorHeader, ...]) -> str:
    """The dtype that all floating-point tensors have; empty where they differ or are of one that is seldom."""
    found = {tensor.dtype for tensor in tensors if tensor.dtype in PLAIN_DTYPES}
    return {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}.get(found.pop(), "") if len(found) == 1 else ""


def refuse_quantized(spec: VariantSpec, folder: Path) -> None:
    """Refuses to quantize, or to round, what was quantized elsewhere.

    Raises:
        SpecError: The checkpoint is quantized, and the spec is not ``stored``.
        ModelError: The checkpoint cannot be read.
    """
    if spec.name == NAME:
        return
    storage = storage_in(folder)
    if storage is not None:
        stored = f"{NAME}@{spec.model or folder}"
        hint = f"write {stored}, or name the unquantized model that it was made from"
        if spec.name == MIX:
            hint = f"name the unquantized model that it was made from, and this one in the map: *=({stored})"
        raise SpecError(
            f"its model is already quantized with {storage.summary}", where=f"variant {str(spec)!r}", hint=hint
        )


def plain_tensors(tensors: tuple[TensorHeader, ...], folder: Path) -> tuple[TensorHeader, ...]:
    """The tensors that the checkpoint would have without quantization, for estimates.

    Raises:
        ModelError: The checkpoint cannot be read.
    """
    storage = storage_in(folder)
    return tensors if storage is None else as_plain(tensors, layers_of(storage, tensors, str(folder)))


def bits_in(folder: Path) -> dict[str, float] | None:
    """Bits of a weight, scales included, of each layer that a checkpoint holds quantized, by its name in there.

    Returns:
        None where files do not tell it layer by layer: of plain weights, and of those converted from a GGUF file.

    Raises:
        ModelError: The checkpoint cannot be read.
    """
    storage = storage_in(folder)
    if storage is None:
        return None
    layers = layers_of(storage, read_tensors(folder), str(folder))
    return {layer.name: 8 * layer.stored_bytes / layer.weights for layer in layers}


def _of_storage(storage: Storage, tensors: tuple[TensorHeader, ...], folder: Path) -> Description:
    layers = layers_of(storage, tensors, str(folder))
    stored_bits = 8 * sum(layer.stored_bytes for layer in layers) / sum(layer.weights for layer in layers)
    weights = sum(tensor.count for tensor in as_plain(tensors, layers))
    rest = {tensor.dtype for tensor in tensors if tensor.dtype in _COMPUTE}
    try:
        identity = {"quanto_map": file_digest(folder / QUANTO_MAP)} if storage.method == "quanto" else {}
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    return Description(
        summary=f"{storage.summary}; as stored",
        stored_bits=stored_bits,
        max_bits=HALF_BITS if storage.bits is None else min(HALF_BITS, _SLACK * storage.bits),
        cuda_dtype="bfloat16" if rest == {"BF16"} else "float16",
        dense=not storage.activations,
        native=storage.method not in _OF_SERVERS,
        bits=storage.bits,
        identity=identity,
        requires=storage.requires,
        # quanto makes room for all weights as they were, and then puts those that are stored in their place
        loading_bytes=HALF_BITS // 8 * weights if storage.method == "quanto" else 0,
    )


def _of_gguf(types: GgufTypes, spec: VariantSpec) -> Description:
    if types.main_bits is not None and not types.layers.bits < _MOSTLY_PLAIN:
        raise AuditError(
            f"the file calls itself {types.name}, and its layers take {types.layers.bits:.2f} bits per weight: most of "
            "them are not quantized",
            where=f"variant {str(spec)!r}",
            hint="quantize it again, or name the file that it was made from",
        )
    return Description(
        summary=types.summary,
        stored_bits=types.layers.bits,
        max_bits=HALF_BITS if types.quantized else None,
        cuda_dtype="float16",
        dense=types.quantized,
        native=False,
        bits=types.main_bits,
    )


BACKEND: Final = StoredBackend()
