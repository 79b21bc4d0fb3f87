"""``torchao:int8``, ``float8``, ``nvfp4``, ``int4``, ``int8-dynamic`` and ``float8-dynamic``, quantized while loading.

``int8`` and ``float8`` have one scale a row, ``int4`` a scale and a zero for 128 weights, ``nvfp4`` an 8-bit scale for
16. The dynamic ones round activations as well, one scale a token, and multiply integers or 8-bit floats: they are
native always. What is quantized are the weights rounded to fp16, so that the ``fp16`` variant is the parent of all; to
bfloat16 where torchao takes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.variants.device import ComputeDtype, Placement
from pytest_quantgate.variants.modules import quantized_layers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Kind:
    """What a scheme means.

    Attributes:
        summary: For people.
        bits: Of a weight.
        stored_bits: Of a weight, scales included.
        source: What weights are rounded to before they are quantized.
        dynamic: Whether activations are quantized too.
        on_cpu: Whether torchao does it on a CPU.
        columns: What the columns of a layer must be a multiple of.
    """

    summary: str
    bits: int
    stored_bits: float
    source: ComputeDtype = "float16"
    dynamic: bool = False
    on_cpu: bool = True
    columns: int = 1


INT4_GROUP: Final = 128
_ROW: Final = 0.1  # a 32-bit scale a row, of typically some hundred weights

_SOURCE: Final = {"float16": "", "bfloat16": ", from weights in bfloat16", "float32": ""}

KINDS: Final = {
    "int8": Kind("8-bit integers", 8, 8 + _ROW),
    "float8": Kind("8-bit floating point (e4m3)", 8, 8 + _ROW),
    "nvfp4": Kind("4-bit floating point (NVFP4)", 4, 4 + 8 / 16, "bfloat16", columns=16),
    "int4": Kind("4-bit integers", 4, 4 + 32 / INT4_GROUP, "bfloat16", on_cpu=False, columns=INT4_GROUP),
    "int8-dynamic": Kind("8-bit integers, activations too", 8, 8 + _ROW, dynamic=True),
    "float8-dynamic": Kind(
        "8-bit floating point (e4m3), activations too",
        8,
        8 + _ROW,
        "bfloat16",
        dynamic=True,
        on_cpu=False,
        columns=16,
    ),
}


class TorchaoBackend:
    """Loads variants that torchao quantizes."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        kind = KINDS[spec.scheme or ""]
        skipped = spec.names("skip")
        # its kernels' layout fills rows up to a multiple of 1024 columns
        most = 2 * kind.bits if kind.columns == INT4_GROUP else kind.bits
        return Description(
            summary=f"{kind.summary} (torchao{_SOURCE[kind.source]}): {quantized_layers(skipped)}",
            stored_bits=kind.stored_bits,
            max_bits=most + 1,
            cuda_dtype=kind.source,
            dense=not kind.dynamic and kind.on_cpu,  # int4 is laid out for its kernels, and never spread out again
            skipped=skipped,
            bits=kind.bits,
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the weights, quantized one by one as they are read.

        Raises:
            SpecError: torchao cannot do it on this device, or a layer does not fit.
        """
        from pytest_quantgate.variants.torchao_loading import load  # imports torch

        return load(spec, folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a replaced module's packed weight, scales and zeros."""
        from pytest_quantgate.variants.torchao_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings all to the compute dtype and the kernels of the placement."""
        from pytest_quantgate.variants.torchao_loading import finish

        finish(model, placement)


BACKEND: Final = TorchaoBackend()
