"""``nf4``, ``fp4`` and ``int8`` by bitsandbytes, quantized while loading.

What is quantized are the weights rounded to fp16, so that the ``fp16`` variant is the parent of all of
them. The output head, and an embedding tied to it, are never quantized: that is transformers' default, and
it stays so when ``skip=`` names other modules.

``int8`` rounds activations as well, and keeps a column of them in fp16 as soon as one token of the batch has
an outlier there: its answers depend on what else is in the batch, on every device.
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

_BLOCK = 64  # weights that share one scale
_NESTED_BLOCK = 256  # scales that share one scale of theirs, with ``double``
_BITS_4 = 4 + 32 / _BLOCK
_BITS_4_DOUBLE = 4 + 8 / _BLOCK + 32 / (_BLOCK * _NESTED_BLOCK)
_BITS_8 = 8.1  # one 32-bit scale per row, of typically some hundred weights


class BitsAndBytesBackend:
    """Loads variants that bitsandbytes quantizes."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        skipped = spec.names("skip")
        kinds = {
            "nf4": "4-bit NormalFloat",
            "fp4": "4-bit floating point",
            "int8": "8-bit integers, activations too (LLM.int8)",
        }
        double = ", scales quantized again" if spec.has("double") else ""
        eight = spec.name == "int8"
        stored_bits = _BITS_8 if eight else _BITS_4_DOUBLE if spec.has("double") else _BITS_4
        return Description(
            summary=f"{kinds[spec.name]}{double} (bitsandbytes): {quantized_layers(skipped)}",
            stored_bits=stored_bits,
            max_bits=9 if eight else 5,
            # the dtype of the fp16 reference, which leaves less rounding than bfloat16
            cuda_dtype="float16",
            # int8 quantizes activations as well, which only its own kernels do
            dense=not eight,
            skipped=skipped,
            bits=8 if eight else 4,
            head=False,
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights, quantized one by one as they are read."""
        from pytest_quantgate.variants.bitsandbytes_loading import load  # imports torch

        return load(spec, folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a replaced module's weight and scales."""
        from pytest_quantgate.variants.bitsandbytes_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings the rest to the compute dtype, and 4-bit layers to the kernels of the placement."""
        from pytest_quantgate.variants.bitsandbytes_loading import finish

        finish(model, placement)


BACKEND: Final = BitsAndBytesBackend()
