"""The table of variant names; a backend is imported when one of its names is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

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
        dense: Whether the weights can be spread out again, after the audit, to run through the same kernels as the
            reference; not those of a variant that quantizes activations too.
        native: Whether there are kernels for the weights as they are stored; a variant without any is always dense.
        skipped: Module names that the user wants left alone.
        bits: Bits of a quantized weight by name, without its scales: 4 for ``nf4``, 2 for ``ruin:2bit``, whose weights
            have 2 bits though they are stored in 16. None where the variant is not about bits, or its backend does not
            say.
        identity: What the answers depend on beyond the spec's text, by name: the content of a file that it names.
        requires: Importable module to installable distribution, beyond those of its name's ``Entry``.
        native_requires: Those that native kernels need as well.
        loading_bytes: The most that loading holds at a time, where that can be more than what is held in the end.
        head: Whether the output head may be quantized too; a mix that gives it to a variant that never does is refused.
    """

    summary: str
    stored_bits: float
    max_bits: float | None
    cuda_dtype: str
    dense: bool = False
    native: bool = True
    skipped: tuple[str, ...] = ()
    bits: float | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)
    native_requires: Mapping[str, str] = field(default_factory=dict)
    loading_bytes: int = 0
    head: bool = True


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


class Inspecting(Backend, Protocol):
    """A backend whose variants are told apart by their checkpoints."""

    def inspect(self, spec: VariantSpec, folder: Path) -> Description:
        """What the spec means for a checkpoint folder; its headers and configuration may be read, not its weights.

        Raises:
            SpecError: The checkpoint is not one for this spec.
            ModelError: It cannot be read.
        """
        ...


class Checking(Backend, Protocol):
    """A backend that can tell before it loads what it cannot load here."""

    def check(self, spec: VariantSpec, folder: Path, placement: Placement) -> None:
        """Refuses what would not load, told from headers, versions and drivers: torch is not imported.

        It goes by nothing that is not part of the variant's identity, so no answer is kept of what it refuses.

        Args:
            spec: As for ``load``.
            folder: As for ``load``.
            placement: As for ``load``.

        Raises:
            SpecError: This device, these libraries or this model's shapes do not allow it; the hint says what they do.
            ModelError: The checkpoint cannot be read.
        """
        ...


class Making(Backend, Protocol):
    """A backend whose weights are made first, which takes long and happens once."""

    def make(self, spec: VariantSpec, folder: Path, placement: Placement, note: Callable[[str], None]) -> object:
        """Makes what ``load`` loads, where that was not done yet.

        Args:
            spec: As for ``load``.
            folder: As for ``load``.
            placement: As for ``load``.
            note: Told how far it has come.

        Raises:
            SpecError: As for ``load``.
            ModelError: It cannot be made, or there is no room for it.
        """
        ...

    def unmade(self, spec: VariantSpec, folder: Path, placement: Placement) -> Mapping[str, Path]:
        """By spec, the folders that ``make`` would keep something in and that are not there yet; torch-free.

        Raises:
            ModelError: The checkpoint cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Scheme:
    """What stands behind a name's colon, before its options.

    Attributes:
        pattern: Regular expression that the whole scheme matches.
        example: One that does.
        known: All of them, where they are few; a wrong one is told the nearest.
        group: Weights that share a scale where a scheme does not say it (``-gN``); None where none does.
        bits: The bits that it may say, where all schemes are such as ``4bit-g64``, with groups of ``LEAST_GROUP`` to
            ``MOST_GROUP`` weights; empty for other schemes.
    """

    pattern: str
    example: str
    known: tuple[str, ...] = ()
    group: int | None = None
    bits: tuple[int, ...] = ()


LEAST_GROUP: Final = 10
"""Fewest weights that a scheme lets share a scale: of fewer it would be no quantization."""

MOST_GROUP: Final = 99_999
"""Most of them; no row has as many."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One variant name.

    Attributes:
        target: The backend object, as ``package.module:attribute``.
        options: Options that a spec of this name takes.
        requires: Importable module to installable distribution, beyond torch and transformers.
        scheme: What a spec of this name must say; None where the name says it all.
    """

    target: str
    options: Mapping[str, OptionKind] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)
    scheme: Scheme | None = None


def _one_of(*schemes: str) -> Scheme:
    return Scheme("|".join(schemes), schemes[0], known=schemes)


def _bits(*bits: int, group: int) -> Scheme:
    """``4bit-g64``: bits, and weights that share a scale."""
    digits = "".join(map(str, bits))
    return Scheme(rf"[{digits}]bit(-g[1-9]\d{{1,4}})?", f"4bit-g{group}", group=group, bits=bits)


_PLAIN = Entry("pytest_quantgate.variants.plain:BACKEND")
_BITSANDBYTES = "pytest_quantgate.variants.bitsandbytes:BACKEND"
_NEEDS = {"bitsandbytes": "bitsandbytes"}
_RUIN = Entry(
    "pytest_quantgate.variants.ruin:BACKEND",
    dict.fromkeys(("2bit", "zeroed-layer", "shuffled-head"), OptionKind.FLAG),
)
_SKIP = {"skip": OptionKind.NAMES}
_FOUR_BIT = Entry(_BITSANDBYTES, {"double": OptionKind.FLAG, "skip": OptionKind.NAMES}, _NEEDS)

_TABLE: dict[str, Entry] = {
    "fp32": _PLAIN,
    "fp16": _PLAIN,
    "bf16": _PLAIN,
    "nf4": _FOUR_BIT,
    "fp4": _FOUR_BIT,
    "int8": Entry(_BITSANDBYTES, _SKIP, _NEEDS),
    "ruin": _RUIN,
    "rtn": Entry("pytest_quantgate.variants.rtn:BACKEND", _SKIP, scheme=_bits(*range(2, 9), group=64)),
    "quanto": Entry(
        "pytest_quantgate.variants.quanto:BACKEND",
        _SKIP,
        {"optimum.quanto": "optimum-quanto"},
        _one_of("int4", "int8", "int2", "float8"),
    ),
    "torchao": Entry(
        "pytest_quantgate.variants.torchao:BACKEND",
        _SKIP,
        {"torchao": "torchao"},
        _one_of("int8", "int8-dynamic", "int4", "float8", "float8-dynamic", "nvfp4"),
    ),
    "hqq": Entry("pytest_quantgate.variants.hqq:BACKEND", _SKIP, scheme=_bits(*range(1, 9), group=64)),
    "gptq": Entry("pytest_quantgate.variants.gptq:BACKEND", _SKIP, scheme=_bits(2, 3, 4, 8, group=128)),
    "stored": Entry("pytest_quantgate.variants.stored:BACKEND"),
    "mix": Entry("pytest_quantgate.variants.mix:BACKEND", scheme=Scheme(".+", "'down_proj=int8;*=nf4'")),
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
    # other mappings may not go to a process of another device
    entry = replace(entry, options=dict(entry.options), requires=dict(entry.requires))
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
    parts: tuple[object, ...] = (entry.options, entry.requires)
    return isinstance(entry.scheme, Scheme | None) and all(isinstance(part, Mapping) for part in parts)


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


def describe(spec: VariantSpec, folder: Path | None = None) -> Description:
    """What a spec means, asked of its backend.

    Args:
        spec: The spec.
        folder: The checkpoint that the variant is made of; None where it is not known yet.

    Raises:
        SpecError: As for ``backend_of``, or the backend fails at it.
        ModelError: The checkpoint cannot be read.
    """
    backend = backend_of(spec.name)
    inspect = getattr(backend, "inspect", None)
    where, target = f"variant {str(spec)!r}", entry_of(spec.name).target
    try:
        description = backend.describe(spec) if folder is None or inspect is None else inspect(spec, folder)
    except QuantgateError:
        raise
    except Exception as error:
        raise SpecError(
            f"its backend {target} cannot describe it: {type(error).__name__}: {error}", where=where, hint=_REPAIR
        ) from error
    if not isinstance(description, Description):
        raise SpecError(f"its backend {target} does not describe it with a Description", where=where, hint=_REPAIR)
    return description


def check_here(spec: VariantSpec, folder: Path, placement: Placement) -> None:
    """Lets the backend of a spec refuse what it cannot load here; most have nothing to say.

    Args:
        spec: The spec.
        folder: The checkpoint that the variant is made of.
        placement: Where it is to run.

    Raises:
        SpecError: As for ``Checking.check`` and ``backend_of``, or the backend fails at it.
        ModelError: The checkpoint cannot be read.
    """
    check = getattr(backend_of(spec.name), "check", None)
    if check is None:
        return
    try:
        check(spec, folder, placement)
    except QuantgateError:
        raise
    except Exception as error:
        raise SpecError(
            f"its backend {entry_of(spec.name).target} cannot check it: {type(error).__name__}: {error}",
            where=f"variant {str(spec)!r}",
            hint=_REPAIR,
        ) from error
