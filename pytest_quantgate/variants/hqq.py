"""``hqq:4bit-g64``: half-quadratic quantization, for as far as transformers loads it: 5.23 does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.modules import quantized_layers
from pytest_quantgate.variants.registry import Description
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.versions import NOT_INSTALLED, version_of

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_GROUP_BITS: Final = 16 + 16  # a scale and a zero
_WITHOUT: Final = (5, 23)  # the newest version of transformers that was seen without the step that quantizes


class HqqBackend:
    """Loads variants that hqq quantizes."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        bits, group = spec.bits_and_group
        skipped = spec.names("skip")
        return Description(
            summary=f"{bits}-bit integers (HQQ) in groups of {group}: {quantized_layers(skipped)}",
            stored_bits=bits + _GROUP_BITS / group,
            max_bits=bits + _GROUP_BITS / group + 1,
            cuda_dtype="float16",
            dense=True,
            skipped=skipped,
            bits=bits,
            # not among what the name requires: nobody should install it before transformers can use it
            identity={"version:hqq": version_of("hqq")},
            head=False,
        )

    def check(self, spec: VariantSpec, folder: Path, placement: Placement) -> None:  # noqa: ARG002  (the protocol's)
        """Refuses versions of transformers that are known not to do it; a newer one is asked when it loads.

        Raises:
            SpecError: transformers does not do it, or hqq is not installed.
        """
        version = version_of("transformers")
        if tuple(map(int, re.findall(r"\d+", version)[:2])) <= _WITHOUT:
            raise unable(spec, f"transformers {version} does not quantize with HQQ")
        if version_of("hqq") == NOT_INSTALLED:
            raise SpecError("hqq is not installed", where=f"variant {str(spec)!r}", hint="pip install hqq")

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the fp16 weights, quantized as they are read.

        Raises:
            SpecError: transformers does not do it, or hqq is not installed.
        """
        from pytest_quantgate.variants.hqq_loading import load  # imports torch

        return load(spec, folder, placement)

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes of a replaced module's packed weight, scales and zeros."""
        from pytest_quantgate.variants.hqq_loading import stored_bytes

        return stored_bytes(module)

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Brings all to the compute dtype and the kernels of the placement."""
        from pytest_quantgate.variants.hqq_loading import finish

        finish(model, placement)


BACKEND: Final = HqqBackend()


def unable(spec: VariantSpec, what: str) -> SpecError:
    """The error where transformers does not do it, with what does nearly the same."""
    bits, group = spec.bits_and_group
    return SpecError(
        what,
        where=f"variant {str(spec)!r}",
        hint=f"use rtn:{max(bits, 2)}bit-g{group}, nf4, quanto:int4 or gptq:4bit, or another version of transformers",
    )
