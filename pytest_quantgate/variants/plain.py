"""``fp32``, ``fp16`` and ``bf16``: the checkpoint's weights rounded to a precision.

Rounding and arithmetic are separate: weights are first rounded to the variant's precision and then brought
to the compute dtype, so that on a CPU ``fp16`` and ``bf16`` differ from ``fp32`` in their weights only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.variants.device import DTYPE_BYTES, ComputeDtype, Placement
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

PRECISIONS: Final[Mapping[str, ComputeDtype]] = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""The precision that each name rounds to."""


class PlainBackend:
    """Loads weights without quantizing them."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        precision = PRECISIONS[spec.name]
        return Description(
            summary=f"weights rounded to {precision}, nothing quantized",
            stored_bits=8 * DTYPE_BYTES[precision],
            max_bits=None,
            cuda_dtype=precision,
            bits=8 * DTYPE_BYTES[precision],
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the weights rounded to the variant's precision."""
        from pytest_quantgate.variants.loading import dtype_of, load_pretrained  # imports torch

        return load_pretrained(folder, dtype=dtype_of(PRECISIONS[spec.name]), device=placement.device)

    def stored_bytes(self, module: nn.Module) -> int | None:  # noqa: ARG002  (the protocol's signature)
        """None: no module is replaced."""
        return None

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings the rounded weights to the compute dtype."""
        from pytest_quantgate.variants.loading import cast_parameters, dtype_of  # imports torch

        cast_parameters(model, dtype_of(placement.compute_dtype))


BACKEND: Final = PlainBackend()
