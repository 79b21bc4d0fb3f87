"""A variant: prepared without torch, loaded when it must really run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.audit import Audit, check_audit, measure
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import ComputeDtype, Kernels, Placement, place
from pytest_quantgate.variants.identity import Identity, identify
from pytest_quantgate.variants.memory import check_memory, estimate_bytes
from pytest_quantgate.variants.registry import backend_of, entry_of
from pytest_quantgate.variants.source import ModelSource
from pytest_quantgate.variants.spec import VariantSpec, parse_spec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Variant:
    """A model at one precision, on one device, in one arithmetic; nothing of it is loaded.

    Attributes:
        spec: Its precision.
        model: Its source.
        device: ``cpu`` or ``cuda:N``.
        compute_dtype: Dtype of the arithmetic.
        kernels: See ``Placement``.
        identity: Everything that its answers depend on.
        needed_bytes: Memory that loading it should take at most, a stated allowance included.
    """

    spec: VariantSpec
    model: ModelSource
    device: str
    compute_dtype: ComputeDtype
    kernels: Kernels
    identity: Identity
    needed_bytes: int

    @property
    def summary(self) -> str:
        """One line for people: what is quantized and how, and what is left out."""
        return backend_of(self.spec.name).describe(self.spec).summary


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A variant in memory, audited.

    Attributes:
        variant: What was loaded.
        model: The model, in evaluation mode, without gradients.
        tokenizer: Its tokenizer, padding on the left.
        audit: What was found in it before it was brought to its compute dtype and kernels.
    """

    variant: Variant
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    audit: Audit


def prepare_variant(spec: str, model: ModelSource, *, device: str = "auto", compute_dtype: str = "auto") -> Variant:
    """Checks and identifies a variant without importing torch.

    Args:
        spec: Spec text, see ``variants.spec``.
        model: A model that ``resolve_model`` found.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        compute_dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        SpecError: The spec is unknown or malformed, or its library is not installed.
        UsageError: The device or dtype is unknown or not there.
        ModelError: The model's files changed since it was resolved and are not whole now.
    """
    parsed = parse_spec(spec)
    entry = entry_of(parsed.name)
    for module, distribution in entry.requires.items():
        if find_spec(module) is None:
            raise SpecError(
                f"{distribution} is not installed", where=f"variant {spec!r}", hint=f"pip install {distribution}"
            )
    description = backend_of(parsed.name).describe(parsed)
    placement = place(description, device, compute_dtype)
    return Variant(
        spec=parsed,
        model=model,
        device=placement.device,
        compute_dtype=placement.compute_dtype,
        kernels=placement.kernels,
        identity=identify(model, parsed, placement, entry.requires.values()),
        needed_bytes=estimate_bytes(read_tensors(model.folder), description, placement),
    )


def load_variant(variant: Variant) -> LoadedModel:
    """Loads a variant: memory first, then the weights, then the audit, then compute dtype and kernels.

    torch is imported here.

    Raises:
        ModelError: It does not fit in memory, or does not load.
        AuditError: It is not quantized as its spec says.
        SpecError: An option names a module that the model does not have.
    """
    spec = str(variant.spec)
    check_memory(variant.needed_bytes, variant.device, spec)
    from pytest_quantgate.variants.loading import load_tokenizer  # imports torch

    backend = backend_of(variant.spec.name)
    placement = Placement(variant.device, variant.compute_dtype, variant.kernels)
    tokenizer = load_tokenizer(variant.model.folder)
    model = backend.load(variant.spec, variant.model.folder, placement)
    audit = measure(model, backend.stored_bytes)
    check_audit(audit, backend.describe(variant.spec).max_bits, spec)
    try:
        backend.finish(model, placement)
    except (MemoryError, RuntimeError) as error:  # RuntimeError is how torch says that memory ran out
        raise ModelError(
            f"the weights cannot be brought to {placement.compute_dtype}: {error}",
            where=f"variant {spec!r}",
            hint="free some memory, or use a smaller model",
        ) from error
    return LoadedModel(variant, model, tokenizer, audit)
