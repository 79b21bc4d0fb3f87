"""``quanto:int8``, ``int4``, ``int2`` and ``float8`` by optimum-quanto: weights only, quantized while loading.

``int8`` and ``float8`` have one scale a row. ``int4`` and ``int2`` have a scale and a shift for each group along a row:
the largest of 128, 96, 64 and 32 that divides it, or the whole row where none does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.modules import quantized_layers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_KINDS: Final = {
    "int8": "8-bit integers",
    "int4": "4-bit integers",
    "int2": "2-bit integers",
    "float8": "8-bit floating point (e4m3)",
}
_BITS: Final = {"int8": 8, "int4": 4, "int2": 2, "float8": 8}
_ROW_BITS: Final = 0.1  # one 16-bit scale a row, of typically some hundred weights
_GROUP_BITS: Final = 32 / 128  # a scale and a shift of 16 bits each


class QuantoBackend:
    """Loads variants that optimum-quanto quantizes."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        kind = spec.scheme or ""
        bits = _BITS[kind]
        skipped = spec.names("skip")
        return Description(
            summary=f"{_KINDS[kind]} (quanto): {quantized_layers(skipped)}",
            stored_bits=bits + (_ROW_BITS if bits == _BITS["int8"] else _GROUP_BITS),
            max_bits=bits + 1,
            cuda_dtype="float16",
            dense=True,
            skipped=skipped,
            bits=bits,
            head=False,
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights, quantized one by one as they are read."""
        from pytest_quantgate.variants.quanto_loading import load  # imports torch

        return load(spec, folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a replaced module's packed weight, scales and shifts."""
        from pytest_quantgate.variants.quanto_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings all to the compute dtype and the kernels of the placement.

        Raises:
            ModelError: quanto's kernels for the CPU cannot be compiled.
        """
        from pytest_quantgate.variants.quanto_loading import finish

        finish(model, placement)


BACKEND: Final = QuantoBackend()
