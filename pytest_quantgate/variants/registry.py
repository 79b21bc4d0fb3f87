"""The table of variant names; a backend is imported when one of its names is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from pytest_quantgate.errors import QuantgateError, SpecError, UsageError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn
    from transformers import PreTrainedModel

    from pytest_quantgate.variants.device import Placement
    from pytest_quantgate.variants.spec import VariantSpec


class OptionKind(Enum):
    """How an option is written in a spec."""

    FLAG = "flag"
    """``double``: there or not."""
    NAMES = "names"
    """``skip=a+b``: one or more module names."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a spec means, known without loading anything.

    Attributes:
        summary: One line for people, with what is left unquantized.
        stored_bits: Bits that one weight of a linear layer takes as stored, scales included.
        max_bits: The audit refuses a candidate at or above this; None for a variant that quantizes nothing.
        cuda_dtype: The compute dtype that ``auto`` means on CUDA.
        dense_on_cpu: Whether the weights are spread out again, after the audit, to run on a CPU through the
            same kernels as the reference.
        skipped: Module names that the user wants left alone.
        bits: Bits of a quantized weight by name, without its scales: 4 for ``nf4``, 2 for ``ruin:2bit``, whose weights
            have 2 bits though they are stored in 16. None where the variant is not about bits, or its backend does not
            say.
    """

    summary: str
    stored_bits: float
    max_bits: float | None
    cuda_dtype: str
    dense_on_cpu: bool = False
    skipped: tuple[str, ...] = ()
    bits: float | None = None


class Backend(Protocol):
    """Loads the variants of one library. Its module must not import torch before ``load`` is called."""

    def describe(self, spec: VariantSpec) -> Description:
        """What the spec means."""
        ...

    def load(self, spec: VariantSpec, folder: Path, placement: Placement) -> PreTrainedModel:
        """Loads the weights at the precision that the variant stores.

        Args:
            spec: A spec whose name belongs to this backend.
            folder: A checkpoint folder that ``resolve_model`` accepted.
            placement: Where to put the model.

        Raises:
            SpecError: An option that does not fit this model.
            ModelError: The weights do not load.
        """
        ...

    def stored_bytes(self, module: nn.Module) -> int | None:
        """Bytes that the module's weight takes, scales included; None for a module that was not replaced."""
        ...

    def finish(self, model: PreTrainedModel, placement: Placement) -> None:
        """Called after the audit: brings the model to its compute dtype and kernels, in place."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One variant name.

    Attributes:
        target: The backend object, as ``package.module:attribute``.
        options: Options that a spec of this name takes.
        requires: Importable module to installable distribution, beyond torch and transformers.
    """

    target: str
    options: Mapping[str, OptionKind] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)


_PLAIN = Entry("pytest_quantgate.variants.plain:BACKEND")
_BITSANDBYTES = "pytest_quantgate.variants.bitsandbytes:BACKEND"
_NEEDS = {"bitsandbytes": "bitsandbytes"}
_RUIN = Entry(
    "pytest_quantgate.variants.ruin:BACKEND",
    dict.fromkeys(("2bit", "zeroed-layer", "shuffled-head"), OptionKind.FLAG),
)
_FOUR_BIT = Entry(_BITSANDBYTES, {"double": OptionKind.FLAG, "skip": OptionKind.NAMES}, _NEEDS)

_TABLE: dict[str, Entry] = {
    "fp32": _PLAIN,
    "fp16": _PLAIN,
    "bf16": _PLAIN,
    "nf4": _FOUR_BIT,
    "fp4": _FOUR_BIT,
    "int8": Entry(_BITSANDBYTES, {"skip": OptionKind.NAMES}, _NEEDS),
    "ruin": _RUIN,
}


_REPAIR = "install or repair the plugin that registered it"


def variant_names() -> tuple[str, ...]:
    """All variant names, sorted."""
    return tuple(sorted(_TABLE))


def register(name: str, entry: Entry) -> None:
    """Adds a variant name; registering the same entry again changes nothing.

    Args:
        name: Lower-case letters, digits, ``.``, ``_`` and ``-``.
        entry: Where its backend is and what options it takes.

    Raises:
        UsageError: The name is malformed or belongs to another backend, or the entry is none.
    """
    if (
        not isinstance(name, str)
        or not name
        or name != name.lower()
        or not name.replace("-", "_").replace(".", "_").isidentifier()
    ):
        raise UsageError(
            "a variant name is lower-case letters, digits, '.', '_' and '-', and starts with a letter",
            where=f"variant {name!r}",
        )
    if not _is_entry(entry):
        raise UsageError(
            "is registered with something other than an Entry",
            where=f"variant {name!r}",
            hint='write Entry("package.module:attribute")',
        )
    known = _TABLE.setdefault(name, entry)
    if known != entry:
        raise UsageError(
            f"cannot be registered for {entry.target}: it belongs to {known.target}",
            where=f"variant {name!r}",
            hint="choose another name",
        )


def _is_entry(entry: object) -> bool:
    """Whether another plugin's value is what its type says."""
    if not isinstance(entry, Entry) or not isinstance(entry.target, str):
        return False
    return isinstance(entry.options, Mapping) and isinstance(entry.requires, Mapping)


def unregister(name: str) -> None:
    """Forgets a name that ``register`` added; unknown names are ignored."""
    _TABLE.pop(name, None)


def entry_of(name: str) -> Entry:
    """The table's entry for a name.

    Raises:
        SpecError: No such name; the message has the nearest one.
    """
    try:
        return _TABLE[name]
    except KeyError:
        raise SpecError(
            "is not a known variant", where=f"variant {name!r}", hint=nearest(name.lower(), _TABLE)
        ) from None


def backend_of(name: str) -> Backend:
    """Imports and returns the backend of a name.

    Raises:
        SpecError: No such name, or a registered backend that cannot be imported.
    """
    target = entry_of(name).target
    module, _, attribute = target.partition(":")
    try:
        return cast("Backend", getattr(import_module(module), attribute))
    except Exception as error:  # importing runs the plugin's code
        raise SpecError(
            f"its backend {target} cannot be imported: {type(error).__name__}: {error}",
            where=f"variant {name!r}",
            hint=_REPAIR,
        ) from error


def describe(spec: VariantSpec) -> Description:
    """What a spec means, asked of its backend.

    Raises:
        SpecError: As for ``backend_of``, or the backend fails at it.
    """
    backend = backend_of(spec.name)
    where, target = f"variant {str(spec)!r}", entry_of(spec.name).target
    try:
        description = backend.describe(spec)
    except QuantgateError:
        raise
    except Exception as error:
        raise SpecError(
            f"its backend {target} cannot describe it: {type(error).__name__}: {error}", where=where, hint=_REPAIR
        ) from error
    if not isinstance(description, Description):
        raise SpecError(f"its backend {target} does not describe it with a Description", where=where, hint=_REPAIR)
    return description
