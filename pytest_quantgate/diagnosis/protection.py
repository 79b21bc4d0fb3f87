"""A candidate that keeps some modules in higher precision: the spec that says so, its bits and its memory; no torch.

What is kept as ``fp16`` has it is left out by name, ``nf4:skip=layers.0``. What is kept in another precision, or of a
candidate that takes no ``skip=``, makes a mix: ``mix:layers.0=rtn:8bit-g64;*=nf4``. ``elsewhere`` says what a candidate
is that was quantized elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pytest_quantgate.files import write_bytes
from pytest_quantgate.variants.audit import Audit
from pytest_quantgate.variants.mix import FP16, map_of, own_model
from pytest_quantgate.variants.mix_map import MixMap
from pytest_quantgate.variants.modules import covers, matches
from pytest_quantgate.variants.registry import OptionKind, backend_of, describe, entry_of
from pytest_quantgate.variants.source import from_anywhere
from pytest_quantgate.variants.spec import MIX, VariantSpec, parse_spec
from pytest_quantgate.variants.stored import NAME as STORED
from pytest_quantgate.variants.stored import bits_in

LONGEST_SPEC: Final = 2_000
"""Characters of a spec; a mix that is longer is written to a file."""

EVERYTHING: Final = "*"
"""The pattern of all layers but the output head."""

_FP16_BITS: Final = 16
_NOT_IN_PATHS: Final = ("=", "@", ",", ";", "+kv:", "+lora:")  # a spec would be read as something else

Rules = tuple[tuple[str, VariantSpec], ...]
"""Patterns and their specs, as a mix tries them."""


@dataclass(frozen=True, slots=True)
class RepairLimits:
    """How far a search for a repair goes.

    Attributes:
        max_bits: Mean bits of a weight over all linear layers but the output head that a repair may take.
        minutes: Time that the search may take.
    """

    max_bits: float = 5.5
    minutes: float = 10.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What the linear layers of a candidate take.

    Attributes:
        weights: Number of weights of each linear layer but the output head, by full name, in the model's order.
        bits: Bits of a weight of each as the candidate stores it, scales included.
        memory_bytes: All weights of the candidate as stored.
    """

    weights: Mapping[str, int]
    bits: Mapping[str, float]
    memory_bytes: int

    def mean_bits(self, kept: Collection[str] = (), at: float = _FP16_BITS) -> float:
        """Mean bits of a weight when some layers are kept at so many bits."""
        total = sum(self.weights.values())
        plain = sum(weights * self.bits[name] for name, weights in self.weights.items())
        return (plain + self.extra_bits(kept, at)) / total if total else 0.0

    def memory(self, kept: Collection[str] = (), at: float = _FP16_BITS) -> int:
        """Bytes of all weights when some layers are kept at so many bits."""
        return self.memory_bytes + round(self.extra_bits(kept, at) / 8)

    def extra_bits(self, kept: Iterable[str], at: float) -> float:
        """Bits that keeping some layers takes on top, of all their weights together."""
        return sum(self.weights[name] * (at - self.bits[name]) for name in kept)

    def protectable(self, at: float) -> tuple[str, ...]:
        """The layers that the candidate stores in fewer bits than that, in the model's order."""
        return tuple(name for name in self.weights if self.bits[name] < at)


def stored_of(spec: VariantSpec, weights: Mapping[str, int], head: str, audit: Audit) -> Stored:
    """What a candidate's layers take: the bits that its audit found, shared out as its specs describe them.

    Of a checkpoint made elsewhere the files tell what each layer takes.

    Args:
        spec: The candidate's, or the mix that it is.
        weights: Number of weights of each linear layer, the output head among them, by full name.
        head: Full name of the output head.
        audit: What was found when the candidate was loaded.
    """
    layers = {name: count for name, count in weights.items() if name != head}
    if spec.name == STORED:  # of which nothing is kept
        return Stored(layers, dict.fromkeys(layers, audit.bits_per_weight), audit.memory_bytes)
    specs = _specs(_rules(spec), weights, head)
    own = {each: own_model(each) for each in set(specs.values())}
    described = {each: describe(each, None if model is None else model.folder) for each, model in own.items()}
    told = {each: bits_in(model.folder) or {} for each, model in own.items() if model is not None}
    quantized = {name for name, each in specs.items() if described[each].max_bits is not None}
    made_here = {name for name in quantized if specs[name].name != STORED}
    bits = {name: told.get(each, {}).get(name, described[each].stored_bits) for name, each in specs.items()}
    said = sum(weights[name] * bits[name] for name in made_here)
    found = audit.bits_per_weight * sum(weights[name] for name in quantized)
    found -= sum(weights[name] * bits[name] for name in quantized - made_here)
    scale = found / said if said else 1.0
    bits |= {name: bits[name] * scale for name in made_here}
    return Stored(layers, {name: bits[name] for name in layers}, audit.memory_bytes)


def why_not(spec: VariantSpec) -> str | None:
    """Why no layer of a candidate can be kept in higher precision; None when it can."""
    if spec.served:
        return "a server decides what its model's layers are stored in"
    return None


def protect(
    spec: VariantSpec,
    kept: Collection[str],
    at: VariantSpec,
    *,
    linear: Collection[str],
    head: str,
) -> tuple[VariantSpec, tuple[str, ...]]:
    """The spec of a candidate that keeps some layers in higher precision.

    Args:
        spec: The candidate's; one that ``why_not`` has no objection to, or of a ``stored`` one the mix that it is.
        kept: Full names of the layers, none of which the candidate leaves as it is; at least one.
        at: The precision that they are kept in.
        linear: Full names of all linear layers of the model.
        head: That of the output head.

    Returns:
        The spec, which may be longer than ``LONGEST_SPEC``; and the names that stand in it for what is kept.
    """
    names = name_all(kept, linear)
    if at == FP16 and _skips_alike(spec):
        skipped = "+".join(sorted({*spec.names("skip"), *names}))
        options = sorted({**dict(spec.options), "skip": skipped}.items())
        return replace(spec, options=tuple(options)), names
    mix = MixMap(_deciding((*((name, at) for name in names), *_rules(spec)), linear, head))
    return VariantSpec(MIX, scheme=str(mix), model=spec.model, kv=spec.kv, lora=spec.lora), names


def file_of(spec: str, folder: Path) -> tuple[str, Path | None]:
    """A mix that is too long for a spec, by the file that is to hold it; anything else as it is.

    Args:
        spec: Of a protection.
        folder: Where the file goes, as its spec names it; one whose name no spec can hold leaves the mix in the spec.

    Returns:
        The spec, and the file, which is not written yet; its name says what is in it.
    """
    if len(spec) <= LONGEST_SPEC or any(mark in str(folder) for mark in _NOT_IN_PATHS):
        return spec, None
    mixed = parse_spec(spec)
    path = folder / f"mix-{hashlib.sha256(_text(mixed)).hexdigest()[:12]}.json"
    return str(replace(mixed, scheme=str(path))), path


def write_mix(spec: str, path: Path) -> None:
    """Write the file of a mix, its folder made when missing.

    Args:
        spec: The mix itself.
        path: As ``file_of`` gave it.

    Raises:
        QuantgateError: It cannot be written.
    """
    write_bytes(path, _text(parse_spec(spec)), None, str(path), what="mix")


def bare(spec: VariantSpec) -> VariantSpec:
    """How a spec stores a layer, as a mix names it: without what it skips and what is added to it."""
    options = tuple(option for option in spec.options if option[0] != "skip")
    return replace(spec, options=options, model=None, kv=None, lora=None)


def name_all(kept: Collection[str], linear: Collection[str]) -> tuple[str, ...]:
    """Few names, as ``skip=`` takes them, that stand for some layers and for no others.

    Whole kinds of layers (``down_proj``), whole decoder layers and blocks come before single ones: always the name next
    that stands for most of what is left, the shortest of several.

    Args:
        kept: Full names of the layers.
        linear: Full names of all linear layers of the model, those among them.
    """
    wanted = set(kept)
    others = "\n".join(f"{name}." for name in linear if name not in wanted)
    usable = {
        name: frozenset(each for each in wanted if covers(name, each))
        for name in {*map(_kind, wanted), *_above(wanted)}
        if f"{name}." not in others  # as `covers` has it, of all of them at once
    }
    found: list[str] = []
    left = set(wanted)
    while left:
        best = min(usable, key=lambda name: (-len(usable[name] & left), len(name), name))
        found.append(best)
        left -= usable[best]
    return tuple(found)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _above(names: Iterable[str]) -> set[str]:
    """Each name, those of the modules that it lies in, and all of these without what they begin with alike."""
    found = set()
    for name in names:
        parts = name.split(".")
        begin = next((number for number, part in enumerate(parts) if part.isdigit()), 1) - 1
        found |= {".".join(parts[max(begin, 0) : end]) for end in range(max(begin, 0) + 2, len(parts) + 1)}
        found.add(name)
    return found


def _rules(spec: VariantSpec) -> Rules:
    """A candidate as the rules of a mix."""
    if spec.name == MIX:
        return map_of(spec).rules
    return (*((name, FP16) for name in spec.names("skip")), (EVERYTHING, bare(spec)))


def _specs(rules: Rules, linear: Iterable[str], head: str) -> dict[str, VariantSpec]:
    """The spec of each linear layer."""
    return {name: next((each for pattern, each in rules if _decides(pattern, name, head)), FP16) for name in linear}


def _deciding(rules: Rules, linear: Iterable[str], head: str) -> Rules:
    """The rules that are the first to match some layer: a mix takes no others."""
    firsts = {next((rule for rule in rules if _decides(rule[0], name, head)), None) for name in linear}
    return tuple(dict.fromkeys(rule for rule in rules if rule in firsts))


def _decides(pattern: str, name: str, head: str) -> bool:
    return (name != head or bool(pattern.strip("*."))) and matches(pattern, name)


def _skips_alike(spec: VariantSpec) -> bool:
    """Whether ``skip=`` leaves all other layers what they were: weights that are made once are made anew for it."""
    takes = entry_of(spec.name).options.get("skip") is OptionKind.NAMES
    return takes and not hasattr(backend_of(spec.name), "make")


def _text(spec: VariantSpec) -> bytes:
    """A mix as a file says it, which may be read from any folder."""
    rules = {pattern: str(_from_anywhere(each)) for pattern, each in map_of(spec).rules}
    return (json.dumps(rules, indent=1) + "\n").encode()


def _from_anywhere(part: VariantSpec) -> VariantSpec:
    return part if part.model is None else replace(part, model=from_anywhere(part.model))
