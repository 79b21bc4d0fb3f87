"""``rtn:3bit-g64``: rounded to nearest, 2 to 8 bits. The simplest quantizer, without any library.

It knows neither data nor tricks, which makes it the yardstick: a quantizer that is no better than this one at the same
size is broken or not worth its trouble. Each group of weights along a row has evenly spaced levels from its least to
its greatest weight, stored as a step and a least value of 16 bits each. There are no kernels for it, so it always runs
dense.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.modules import quantized_layers
from pytest_quantgate.variants.plain import BACKEND as PLAIN
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_GROUP_BITS: Final = 16 + 16  # step and least value of a group
_SLACK: Final = 0.1
_WHOLE: Final = VariantSpec("fp16")  # what is rounded


class RtnBackend:
    """Loads variants that are rounded to nearest."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        bits, group = spec.bits_and_group
        skipped = spec.names("skip")
        stored = bits + _GROUP_BITS / group
        return Description(
            summary=f"{bits}-bit integers rounded to nearest, in groups of {group}: {quantized_layers(skipped)}",
            stored_bits=stored,
            max_bits=stored + _SLACK,
            cuda_dtype="float16",
            dense=True,
            native=False,
            skipped=skipped,
            bits=bits,
        )

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights and rounds them, one layer after another.

        Raises:
            SpecError: A layer's rows cannot be cut into groups, or ``skip=`` names a module that is not there.
        """
        from pytest_quantgate.variants.rtn_loading import round_layers  # imports torch

        model = PLAIN.load(_WHOLE, folder, placement)
        round_layers(model, spec)
        return model

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a rounded layer's levels, steps and least values."""
        from pytest_quantgate.variants.rtn_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Spreads the weights out and brings all to the compute dtype."""
        from pytest_quantgate.variants.rtn_loading import finish

        finish(model, placement)


BACKEND: Final = RtnBackend()
