"""Variant specs: ``nf4``, ``nf4:double``, ``nf4:double,skip=lm_head+model.layers.0``.

A spec is a name, and after a colon options separated by commas. A flag stands alone; an option that takes
module names lists them after ``=``, separated by ``+``. A module name stands for the module and all below
it, or, like ``down_proj``, for every module whose name ends in it and all below those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_quantgate.errors import SpecError, nearest
from pytest_quantgate.variants.registry import OptionKind, entry_of, variant_names

# transformers reads such names as regular expressions, so nothing else may get through
_MODULE_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """A model at one precision.

    Attributes:
        name: A registered variant name.
        options: Option and value (None for a flag), sorted; several module names are sorted and joined by
            ``+``.
    """

    name: str
    options: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        """The canonical text: equal for equal specs, and parsed back to an equal one."""
        options = ",".join(key if value is None else f"{key}={value}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name

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
        SpecError: An unknown name or option (with the nearest valid one), or an option written wrongly.
    """
    name, colon, rest = text.strip().partition(":")
    name = name.strip()
    if not name:
        raise SpecError("a variant is missing", where=f"variant {text!r}", hint=nearest(name, variant_names()))
    entry = entry_of(name)
    where = f"variant {text.strip()!r}"
    if not colon:
        return VariantSpec(name)
    options: dict[str, str | None] = {}
    for part in rest.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in entry.options:
            hint = nearest(key, entry.options) if entry.options else f"write {name!r} alone"
            what = f"{key!r} is not an option of {name}" if key else "an option is missing after ':' or ','"
            raise SpecError(what, where=where, hint=hint)
        if key in options:
            raise SpecError(f"option {key!r} is given twice", where=where, hint="join its names with '+'")
        if entry.options[key] is OptionKind.FLAG:
            if equals:
                raise SpecError(f"option {key!r} takes no value", where=where, hint=f"write {name}:{key}")
            options[key] = None
        else:
            options[key] = _module_names(key, value, where)
    return VariantSpec(name, tuple(sorted(options.items(), key=lambda option: option[0])))


def split_specs(text: str) -> list[str]:
    """Takes a list of specs apart: ``int8,nf4:double,skip=lm_head`` is ``int8`` and ``nf4:double,skip=lm_head``.

    A piece between commas begins a new spec when it begins with a registered variant name: an option that is called
    like one stands right behind its colon. So does a piece that cannot be an option: one with a colon, or behind a name
    without. All others are options of the spec before.

    Args:
        text: What the user wrote.

    Returns:
        At least one text for ``parse_spec``, which says what is wrong with it.
    """
    first, *pieces = text.split(",")
    specs = [first]
    for piece in pieces:
        named = piece.partition(":")[0].strip() in variant_names()
        if named or ":" in piece or ":" not in specs[-1]:
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
