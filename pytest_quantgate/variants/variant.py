"""A variant: prepared without torch, loaded when it must really run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantgate.errors import ModelError, QuantgateError, SpecError
from pytest_quantgate.variants.adapter import Adapter
from pytest_quantgate.variants.additions import check_adapter, describe_all
from pytest_quantgate.variants.audit import Audit, check_audit, measure, measure_coverage
from pytest_quantgate.variants.checkpoint import read_tensors
from pytest_quantgate.variants.device import VLLM, Placement, place
from pytest_quantgate.variants.identity import Identity, contents, identify, today_in
from pytest_quantgate.variants.memory import (
    check_memory,
    estimate_bytes,
    is_out_of_memory,
    mapped_weights,
    release_memory,
)
from pytest_quantgate.variants.modules import check_skips, modules_of
from pytest_quantgate.variants.registry import Description, backend_of, check_here, entry_of
from pytest_quantgate.variants.schedule import USUAL, Schedule, another_schedule, name_of
from pytest_quantgate.variants.source import ModelSource, message_of
from pytest_quantgate.variants.spec import VariantSpec, parse_spec
from pytest_quantgate.variants.stored import plain_tensors, refuse_quantized
from pytest_quantgate.variants.vllm import REQUIRES, check_precision, check_runs

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
        description: What its spec means for this model.
        schedule: How its answers are made.
    """

    spec: VariantSpec
    model: ModelSource
    placement: Placement
    identity: Identity
    needed_bytes: int
    description: Description
    schedule: Schedule = USUAL

    @property
    def label(self) -> str:
        """Its name for people: the spec, and that it is run another way when it is."""
        return name_of(str(self.spec), self.schedule)

    @property
    def offline(self) -> bool:
        """Whether vLLM runs it, in processes of its own."""
        return self.placement.kernels == VLLM

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:N``; several, joined by ``+``, where it is spread over them."""
        return self.placement.device

    @property
    def summary(self) -> str:
        """One line for people: what is quantized and how, and what is left out."""
        return self.description.summary


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


def prepare_variant(
    spec: str,
    model: ModelSource,
    *,
    folder: Path | None = None,
    device: str = "auto",
    compute_dtype: str = "auto",
    kernels: str = "auto",
) -> Variant:
    """Checks and identifies a variant without importing torch.

    Args:
        spec: Spec text, see ``variants.spec``.
        model: A model that ``resolve_model`` found, as it did those that parts of a mix name (``mix.models_in``).
        folder: Where relative paths of the spec are seen from; the current folder when None.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; see ``parse_device``.
        compute_dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
        kernels: ``auto``, ``native``, ``dense`` or ``vllm``, see ``place``.

    Raises:
        SpecError: The spec is unknown or malformed, its library is not installed, vLLM is to run it and cannot, it
            skips a module that the model certainly does not have, or its backend cannot load it here.
        UsageError: The device or dtype is unknown or not there.
        ModelError: The model's files changed since it was resolved and are not whole now.
    """
    parsed = replace(parse_spec(spec), folder=folder)
    check_runs(parsed, kernels)
    entry = entry_of(parsed.name)
    refuse_quantized(parsed, model.folder)
    _check_installed(entry.requires, spec)
    description, adapter = describe_all(parsed, model.folder)
    _check_installed(description.requires, spec)
    placement = place(description, device, compute_dtype, kernels)
    if placement.kernels == VLLM:
        check_precision(parsed, placement)
        _check_installed(REQUIRES, spec)
    if placement.kernels == "native":
        dense = ", or judge its weights with --quant-kernels dense" if description.dense else ""
        _check_installed(description.native_requires, spec, "its native kernels are those of {}, which", dense)
    held = read_tensors(model.folder)
    tensors = plain_tensors(held, model.folder)
    if modules := modules_of(tensors):
        check_skips(description.skipped, modules, str(parsed))
    if adapter is not None:
        check_adapter(adapter, held, f"variant {spec!r}")
    check_here(parsed, model.folder, placement)
    return Variant(
        spec=parsed,
        model=model,
        placement=placement,
        identity=identify(model, parsed, placement, entry, description),
        needed_bytes=estimate_bytes(tensors, description, placement) + (0 if adapter is None else adapter.bytes),
        description=description,
    )


def _check_installed(requires: Mapping[str, str], spec: str, who: str = "{}", otherwise: str = "") -> None:
    for module, distribution in requires.items():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # the package above it is missing
            found = None
        if found is None:
            raise SpecError(
                f"{who.format(distribution)} is not installed",
                where=f"variant {spec!r}",
                hint=f"pip install {distribution}{otherwise}",
            )


def on_device(variant: Variant, device: str) -> Variant:
    """The same variant on another device of the same kind.

    In float32 it gives the same answers; in half precision, and with bitsandbytes int8, as far as batches of another
    shape do, which ``--quant-noise-floor`` measures.

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

    Raises:
        SpecError: Other kernels are wanted of a variant that vLLM runs, which chooses its own.
    """
    if kernels and variant.offline:
        raise SpecError(
            "vLLM chooses its kernels itself",
            where=f"variant {str(variant.spec)!r}",
            hint="use --quant-noise-floor without --quant-noise-kernels",
        )
    schedule = another_schedule(kernels=kernels)
    return replace(variant, schedule=schedule, identity=variant.identity.with_schedule(str(schedule)))


def check_unchanged(variant: Variant) -> tuple[Description, Adapter | None]:
    """Refuses a variant whose files are no longer those that it is identified by: its answers would be kept as theirs.

    Args:
        variant: What is about to be loaded, or was.

    Returns:
        What its spec means, and its adapter.

    Raises:
        ModelError: A file changed or cannot be read; the message says which; or as for ``check_day``.
        SpecError: As for ``prepare_variant``.
    """
    description, adapter = describe_all(variant.spec, variant.model.folder)
    now, known = contents(variant.model, entry_of(variant.spec.name), description), variant.identity.fields
    if changed := sorted(name for name, value in now.items() if known.get(name) != value):
        raise ModelError(
            f"files that it is made of changed since the run began: {', '.join(changed).replace('_', ' ')}",
            where=f"variant {str(variant.spec)!r}",
            hint="run again",
        )
    check_day(variant)
    return description, adapter


def check_day(variant: Variant) -> None:
    """Refuses a variant whose chat template writes another date into prompts now than the one it is identified by.

    transformers lets nobody else tell a template the time.

    Args:
        variant: Who was just asked to render prompts, or is about to be loaded.

    Raises:
        ModelError: The day changed.
    """
    known = variant.identity.fields
    if any(name in known and known[name] != value for name, value in today_in(variant.model.folder).items()):
        raise ModelError(
            "its chat template writes the date into every prompt, and the day changed since the run began",
            where=f"variant {str(variant.spec)!r}",
            hint="run again; a template with a fixed date can be asked over midnight",
        )


def load_variant(variant: Variant, note: Callable[[str], None] | None = None) -> LoadedModel:
    """Loads a variant: memory first, then the weights, then the audit, then compute dtype and kernels.

    torch is imported here.

    Args:
        variant: What to load.
        note: Told how far the weights have come where they must be made first; by default it is logged.

    Raises:
        ModelError: It does not fit in memory, does not load, or cannot compute attention as its schedule says; its
            adapter does not fit the model; or a file that it is made of changed.
        AuditError: It is not quantized as its spec says, or its adapter changes no weight.
        SpecError: An option names a module that the model does not have.
        UsageError: Its device cannot be used.
    """
    spec = str(variant.spec)
    check_memory(variant.needed_bytes, variant.device, spec)
    try:
        return _loaded(variant, spec, note or logging.getLogger(__name__).warning)
    except Exception as error:
        if isinstance(error, QuantgateError) or not is_out_of_memory(error):
            raise
        raise ModelError(
            f"memory of {variant.device} ran out while it was loaded",
            where=f"variant {spec!r}",
            hint="free some memory there, use a smaller model, or another --quant-device",
        ) from error


def _loaded(variant: Variant, spec: str, note: Callable[[str], None]) -> LoadedModel:
    from pytest_quantgate.variants.loading import load_tokenizer, set_attention  # imports torch

    backend = backend_of(variant.spec.name)
    placement = variant.placement
    description, adapter = check_unchanged(variant)
    tokenizer = load_tokenizer(variant.model.folder)
    if placement.device_type == "cuda":
        import torch  # as above

        torch.cuda.set_device(placement.device)  # some quantizers launch their kernels wherever the process is
        torch.set_float32_matmul_precision("highest")  # the identity says float32, not TF32
    make = getattr(backend, "make", None)
    if make is not None:
        make(variant.spec, variant.model.folder, placement, note)
    with mapped_weights():
        model = backend.load(variant.spec, variant.model.folder, placement)
        audit = measure(model, backend.stored_bytes)
        coverage = measure_coverage(model, backend.stored_bytes, description.skipped)
        check_audit(audit, coverage, description.max_bits, spec)
        release_memory()
        try:
            backend.finish(model, placement)
        except RuntimeError as error:  # of torch, and of libraries' kernels
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"the weights cannot be brought to {placement.compute_dtype}: {message_of(error)}",
                where=f"variant {spec!r}",
                hint="try another --quant-compute-dtype, --quant-kernels or --quant-device",
            ) from error
    if adapter is not None:
        from pytest_quantgate.variants.adapter_loading import put_on  # as above

        put_on(model, adapter, placement, f"variant {spec!r}")
    if variant.schedule.attention is not None:
        set_attention(model, variant.schedule.attention, spec)
    check_unchanged(variant)  # what was read meanwhile may be neither the one nor the other
    release_memory()
    return LoadedModel(variant, model, tokenizer, audit)
