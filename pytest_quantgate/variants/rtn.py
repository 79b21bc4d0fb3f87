"""``rtn:3bit-g64``: rounded to nearest, 2 to 8 bits. The simplest quantizer, without any library.

It knows neither data nor tricks, which makes it the yardstick: a quantizer that is no better than this one at the same
size is broken or not worth its trouble. Each group of weights along a row has evenly spaced levels from its least to
its greatest weight, stored as a step and a least value of 16 bits each. There are no kernels for it, so it always runs
dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.modules import quantized_layers, shapes_of
from pytest_quantgate.variants.plain import BACKEND as PLAIN
from pytest_quantgate.variants.registry import LEAST_GROUP, Description
from pytest_quantgate.variants.spec import VariantSpec

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_GROUP_BITS: Final = 16 + 16  # step and least value of a group
_WORD_BITS: Final = 32  # levels are packed into words, a layer at a time
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
            head=False,
        )

    def check(self, spec: VariantSpec, folder: Path, placement: Placement) -> None:  # noqa: ARG002  (the protocol's)
        """Refuses layers that cannot be stored so, where the files tell their shapes.

        Raises:
            SpecError: With what fits.
            ModelError: The checkpoint cannot be read.
        """
        check_shapes(spec, shapes_of(read_tensors(folder), spec.names("skip")))

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights and rounds them, one layer after another.

        Raises:
            SpecError: As for ``check``, or ``skip=`` names a module that is not there.
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


def check_shapes(spec: VariantSpec, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Refuses layers whose rows cannot be cut into groups, or whose levels do not fill words.

    Args:
        spec: A spec of this backend.
        shapes: Rows and columns of each layer that it is to round, by name.

    Raises:
        SpecError: With the first layer that does not fit, and what does.
    """
    bits, group = spec.bits_and_group
    where = f"variant {str(spec)!r}"
    for name, (rows, columns) in shapes.items():
        if columns % group:
            raise SpecError(
                f"{name} does not fit: {columns} columns cannot be cut into groups of {group}",
                where=where,
                hint=_fitting(gcd(*(each for _, each in shapes.values()))),
            )
        if rows * columns * bits % _WORD_BITS:
            raise SpecError(
                f"{name} does not fit: {rows * columns} weights of {bits} bits do not fill whole words",
                where=where,
                hint=f"outside of a mix leave it out with skip={name.rpartition('.')[2]}, or use nf4 or quanto:",
            )


def _fitting(common: int) -> str:
    """What to do, by the greatest group that divides every row: the usual ones first."""
    groups = [group for group in (128, 64, 96, 32, 48, 16) if common % group == 0] or [common]
    if groups[0] < LEAST_GROUP:
        return "no group fits every layer: use nf4 or quanto:, or outside of a mix leave layers out with skip="
    return f"use groups that divide the rows of every layer, such as g{groups[0]}"
