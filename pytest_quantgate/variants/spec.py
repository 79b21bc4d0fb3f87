"""Variant specs: ``nf4``, ``nf4:double,skip=lm_head``, ``gptq:4bit-g128``, ``stored@my-model.gguf+kv:int8``.

    BASE[@MODEL][+kv:SCHEME][+lora:PATH]

The base is a name, and after a colon its scheme and options, separated by commas. A scheme (``int4``, ``3bit-g64``)
stands first and alone, as does a flag; an option that takes module names lists them after ``=``, separated by ``+``. A
module name stands for the module and all below it, or, like ``down_proj``, for every module whose name ends in it and
all below those. ``@`` names another model for this variant alone, ``+kv:`` quantizes its keys and values, ``+lora:``
puts an adapter on it. In the map of a mix a part that has a model of its own stands between parentheses:
``mix:lm_head=fp16;*=(stored@my-model.gguf)``. A server is written as its address: ``http://localhost:8000/v1#MODEL``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_quantgate.endpoint import like_address
from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants import meant
from pytest_quantgate.variants.address import no_address, parse_address
from pytest_quantgate.variants.kv import SCHEMES as KV_SCHEMES
from pytest_quantgate.variants.registry import Entry, OptionKind, Scheme, entry_of, variant_names
from pytest_quantgate.variants.seen import model_from, path_from

SERVED = ("http", "https")
"""Names of variants that a server answers for."""

MIX = "mix"
"""Name of the variant whose modules are those of others."""

# transformers reads such names as regular expressions, so nothing else may get through
_MODULE_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)
_ADDITION = re.compile(r"\+(kv|lora):")
# a part of a map that has a model of its own; a path in it may hold parentheses, and no semicolon
_PART = re.compile(r"=\s*\(([^;]*?)\)\s*(?=[;@]|$)")


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A model at one precision.

    Attributes:
        name: A registered variant name, or ``http`` or ``https``.
        options: Option and value (None for a flag), sorted; several module names are sorted and joined by
            ``+``.
        scheme: What of the name's schemes is meant, such as ``int4``; the map of ``mix``; a server's whole address.
            None for a name that has none.
        model: The model that this variant is made of, as the user named it; None for that of the run.
        kv: How keys and values are quantized, one of ``kv.SCHEMES``; None where they are not.
        lora: The folder of an adapter, as the user named it; None for none.
        folder: Where its relative paths are seen from; None for the current folder. It is no part of the spec:
            equal specs may differ in it.
    """

    name: str
    options: tuple[tuple[str, str | None], ...] = ()
    scheme: str | None = None
    model: str | None = None
    kv: str | None = None
    lora: str | None = None
    folder: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """The canonical text: equal for equal specs, and parsed back to an equal one."""
        if self.scheme is not None and self.served:
            return self.scheme
        options = [key if value is None else f"{key}={value}" for key, value in self.options]
        told = ",".join([*([] if self.scheme is None else [self.scheme]), *options])
        model = "" if self.model is None else f"@{self.model}"
        kv = "" if self.kv is None else f"+kv:{self.kv}"
        lora = "" if self.lora is None else f"+lora:{self.lora}"
        return f"{self.name}{':' if told else ''}{told}{model}{kv}{lora}"

    @property
    def served(self) -> bool:
        """Whether a server answers."""
        return self.name in SERVED

    @property
    def here(self) -> VariantSpec:
        """The same spec as it is written in the current folder: its paths can be opened."""
        if self.folder is None:
            return self
        scheme = self.scheme
        if scheme is not None and self.name == MIX:
            scheme = _map_from(self.folder, scheme)
        return replace(
            self,
            scheme=scheme,
            model=None if self.model is None else model_from(self.folder, self.model),
            lora=None if self.lora is None else path_from(self.folder, self.lora),
            folder=None,
        )

    @property
    def bits_and_group(self) -> tuple[int, int]:
        """The numbers of a scheme such as ``3bit-g64``; only of a name whose schemes are all such."""
        bits, group = re.findall(r"\d+", self.scheme or "", re.ASCII)
        return int(bits), int(group)

    def has(self, flag: str) -> bool:
        """Whether the flag is given."""
        return (flag, None) in self.options

    def names(self, option: str) -> tuple[str, ...]:
        """The module names given to an option; empty when it is not given."""
        value = dict(self.options).get(option)
        return tuple(value.split("+")) if value else ()


def parse_spec(text: str) -> VariantSpec:
    """Reads a spec; see the module's text for how one is written.

    Args:
        text: What the user wrote; spaces around its parts do not matter.

    Returns:
        The spec, its options in canonical order.

    Raises:
        SpecError: An unknown name, scheme or option (with the nearest valid one), or one that is written wrongly.
    """
    text = text.strip()
    if text.partition("://")[0] in SERVED:
        return VariantSpec(text.partition(":")[0], scheme=str(parse_address(text)))
    where = f"variant {text!r}"
    base, kv, lora = _additions(text, where)
    base, at, model = _at_model(base)
    behind = text[len(base) :]
    if at and not model:
        raise SpecError("a model is missing after '@'", where=where, hint=f"for example {base or 'nf4'}@org/name")
    name, colon, rest = (piece.strip() for piece in base.partition(":"))
    _check_name(name, base, text)
    entry = entry_of(name)
    if name == MIX:
        if not rest:
            example = meant.example_of(name, entry)
            raise SpecError("a map of modules is missing", where=where, hint=f"for example {example}")
        return VariantSpec(name, (), rest, model or None, kv, lora)
    parts = [piece.strip() for piece in rest.split(",")] if colon else []
    scheme = None
    if entry.scheme is not None:
        written, *parts = parts or [""]
        scheme = _scheme(name, entry.scheme, written, where, "".join(f",{part}" for part in parts) + behind)
    for part in parts:
        key = part.partition("=")[0].strip()
        if key not in entry.options:
            what = f"{key!r} is not an option of {name}" if key else "an option is missing after ':' or ','"
            raise SpecError(what, where=where, hint=meant.by_option(name, entry, scheme, part, behind))
    return VariantSpec(name, _options(name, entry, parts, where), scheme, model or None, kv, lora)


def _check_name(name: str, base: str, text: str) -> None:
    """Refuses a spec without a known name, or with something added in another way than behind a colon."""
    where, behind = f"variant {text!r}", text[len(base) :]
    if not name:
        raise SpecError("a variant is missing", where=where, hint=meant.by_absence(behind))
    if name != MIX and (hint := meant.by_addition(base, behind)) is not None:
        raise SpecError("what is added to a variant is written +kv:SCHEME or +lora:FOLDER", where=where, hint=hint)
    if name not in variant_names():
        if like_address(text):
            raise no_address(text)
        raise SpecError("is not a known variant", where=f"variant {name!r}", hint=meant.by_name(base, behind))


def _scheme(name: str, scheme: Scheme, written: str, where: str, after: str) -> str:
    """The whole scheme."""
    if not re.fullmatch(scheme.pattern, written, re.ASCII):
        what = f"{written!r} is not a scheme of {name}" if written else f"{name} needs a scheme"
        raise SpecError(what, where=where, hint=meant.by_scheme(name, scheme, written, after))
    return written if scheme.group is None or "-g" in written else f"{written}-g{scheme.group}"


def _at_model(base: str) -> tuple[str, str, str]:
    """What stands before the ``@``, it, and the model behind it; those of the parts of a map are passed over."""
    place = _PART.sub(lambda part: "_" * len(part[0]), base).find("@")
    if place < 0:
        return base.strip(), "", ""
    return base[:place].strip(), "@", base[place + 1 :].strip()


def _additions(text: str, where: str) -> tuple[str, str | None, str | None]:
    """The base, and what is added to it."""
    base, *pieces = _ADDITION.split(text)
    found: dict[str, str] = {}
    for key, value in zip(pieces[::2], (piece.strip() for piece in pieces[1::2]), strict=True):
        if key in found:
            raise SpecError(f"+{key}: is given twice", where=where, hint="leave one out")
        if not value:
            raise SpecError(f"something is missing after +{key}:", where=where, hint=f"write {base}{meant.ADDED[key]}")
        found[key] = value
    kv = found.get("kv")
    if kv is not None and kv not in KV_SCHEMES:
        hint = meant.by_kv(base.strip(), kv)
        raise SpecError(f"keys and values cannot be quantized to {kv!r}", where=where, hint=hint)
    return base.strip(), kv, found.get("lora")


def _options(name: str, entry: Entry, parts: list[str], where: str) -> tuple[tuple[str, str | None], ...]:
    options: dict[str, str | None] = {}
    for part in parts:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key in options:
            raise SpecError(f"option {key!r} is given twice", where=where, hint="join its names with '+'")
        if entry.options[key] is OptionKind.FLAG:
            if equals:
                raise SpecError(f"option {key!r} takes no value", where=where, hint=f"write {name}:{key}")
            options[key] = None
        else:
            options[key] = _module_names(key, value, where)
    return tuple(sorted(options.items(), key=lambda option: option[0]))


def _map_from(folder: Path, mix: str) -> str:
    """What stands behind ``mix:`` in a file of that folder: its own path, or the models that its parts name."""
    if not is_inline(mix):
        return path_from(folder, mix)

    def seen(part: re.Match[str]) -> str:
        try:
            return f"=({replace(parse_spec(part[1]), folder=folder).here})"
        except SpecError:  # whoever reads the map says so
            return part[0]

    return _PART.sub(seen, mix)


def is_inline(mix: str) -> bool:
    """Whether what stands behind ``mix:`` is the map itself, and not the file that holds it."""
    return "=" in mix and not Path(mix).is_absolute()


def split_specs(text: str) -> list[str]:
    """Takes a list of specs apart: ``int8,nf4:double,skip=lm_head`` is ``int8`` and ``nf4:double,skip=lm_head``.

    A piece between commas begins a new spec when it begins with a registered variant name or is an address: an option
    that is called like one stands right behind its colon. So does a piece that cannot be an option: one with a colon
    that stands neither behind an equals sign nor in an addition, or one behind a spec without anything. All others
    belong to the spec before.

    Args:
        text: What the user wrote.

    Returns:
        At least one text for ``parse_spec``, which says what is wrong with it.
    """
    first, *pieces = text.split(",")
    specs = [first]
    for piece in pieces:
        begin, colon, _ = _ADDITION.split(piece)[0].partition(":")
        named = re.split(r"[@+]", begin)[0].strip() in (*variant_names(), *SERVED)
        closed = not any(mark in specs[-1] for mark in ":@")
        if named or (colon and "=" not in begin) or closed:
            specs.append(piece)
        else:
            specs[-1] += f",{piece}"
    return [spec.strip() for spec in specs]


def _module_names(option: str, value: str, where: str) -> str:
    names = {name.strip() for name in value.split("+")}
    wrong = sorted(name for name in names if not _MODULE_NAME.fullmatch(name))
    if wrong:
        raise SpecError(
            f"option {option!r} needs module names, not {wrong[0]!r}",
            where=where,
            hint=f"for example {option}=lm_head+model.layers.0",
        )
    return "+".join(sorted(names))
