"""A variant: prepared without torch, loaded when it must really run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants.audit import Audit, check_audit, measure, measure_coverage
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import Placement, place
from pytest_quantgate.variants.identity import Identity, identify
from pytest_quantgate.variants.memory import check_memory, estimate_bytes
from pytest_quantgate.variants.modules import check_skips, modules_of
from pytest_quantgate.variants.registry import backend_of, describe, entry_of
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule, name_of
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
        placement: Its device and arithmetic.
        identity: Everything that its answers depend on.
        needed_bytes: Memory that loading it should take at most, a stated allowance included.
        schedule: How its answers are made.
    """

    spec: VariantSpec
    model: ModelSource
    placement: Placement
    identity: Identity
    needed_bytes: int
    schedule: Schedule = USUAL

    @property
    def label(self) -> str:
        """Its name for people: the spec, and that it is run another way when it is."""
        return name_of(str(self.spec), self.schedule)

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:N``."""
        return self.placement.device

    @property
    def summary(self) -> str:
        """One line for people: what is quantized and how, and what is left out."""
        return describe(self.spec).summary


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
        SpecError: The spec is unknown or malformed, its library is not installed, or it skips a module that
            the model certainly does not have.
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
    description = describe(parsed)
    placement = place(description, device, compute_dtype)
    tensors = read_tensors(model.folder)
    if modules := modules_of(tensors):
        check_skips(description.skipped, modules, str(parsed))
    return Variant(
        spec=parsed,
        model=model,
        placement=placement,
        identity=identify(model, parsed, placement, entry),
        needed_bytes=estimate_bytes(tensors, description, placement),
    )


def on_device(variant: Variant, device: str) -> Variant:
    """The same variant on another device of the same kind, which gives the same answers.

    Args:
        variant: A variant that ``prepare_variant`` gave.
        device: One of those that ``split_devices`` gave.
    """
    return replace(variant, placement=replace(variant.placement, device=device))


def run_another_way(variant: Variant, *, kernels: bool) -> Variant:
    """The same variant under another schedule: in exact arithmetic it gives the same answers.

    How it is run is part of its identity, so its answers are kept apart.

    Args:
        variant: A variant that ``prepare_variant`` gave.
        kernels: Whether attention is computed by other kernels too.
    """
    schedule = another_schedule(kernels=kernels)
    return replace(variant, schedule=schedule, identity=variant.identity.with_schedule(str(schedule)))


def load_variant(variant: Variant) -> LoadedModel:
    """Loads a variant: memory first, then the weights, then the audit, then compute dtype and kernels.

    torch is imported here.

    Raises:
        ModelError: It does not fit in memory, does not load, or cannot compute attention as its schedule says.
        AuditError: It is not quantized as its spec says.
        SpecError: An option names a module that the model does not have.
    """
    spec = str(variant.spec)
    check_memory(variant.needed_bytes, variant.device, spec)
    from pytest_quantgate.variants.loading import load_tokenizer, set_attention  # imports torch

    backend = backend_of(variant.spec.name)
    description, placement = describe(variant.spec), variant.placement
    tokenizer = load_tokenizer(variant.model.folder)
    model = backend.load(variant.spec, variant.model.folder, placement)
    audit = measure(model, backend.stored_bytes)
    coverage = measure_coverage(model, backend.stored_bytes, description.skipped)
    check_audit(audit, coverage, description.max_bits, spec)
    try:
        backend.finish(model, placement)
    except (MemoryError, RuntimeError) as error:  # RuntimeError is how torch says that memory ran out
        raise ModelError(
            f"the weights cannot be brought to {placement.compute_dtype}: {error}",
            where=f"variant {spec!r}",
            hint="free some memory, or use a smaller model",
        ) from error
    if variant.schedule.attention is not None:
        set_attention(model, variant.schedule.attention, spec)
    return LoadedModel(variant, model, tokenizer, audit)
