"""`quantgate checks`: what slice files may ask of an answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from pytest_quantgate.checks.builtin import builtin_families
from pytest_quantgate.checks.examples import examples_of
from pytest_quantgate.errors import UsageError, nearest
from pytest_quantgate.report.text import draw, indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from pytest_quantgate.checks.arguments import Parameter
    from pytest_quantgate.checks.registry import Check, CheckRegistry

_NARROWEST: Final = 30  # the column of prose: then the table grows wider than the terminal
_WIDEST: Final = 110  # what is told of one check is prose, hard to read in longer lines
_MANY: Final = 10  # checks of a family whose shared arguments are told once

_INSET: Final = "      "
_DEFINITION: Final = re.compile(r"    (\w+): (.+)")


def checks(width: int) -> str:
    """A table of the built-in checks, family by family.

    Args:
        width: Of the terminal.
    """
    families = [(title, _all_of(registry)) for title, registry in builtin_families().items()]
    names = max(len(check.name) for _, found in families for check in found) + 2
    room = max(_NARROWEST, width - names - 2)
    parts: list[RenderableType] = []
    for title, found in families:
        shared = _shared(found)
        told = f"; each takes {_in_short(shared)}" if shared else ""
        table = Table(box=None, show_edge=False, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, min_width=names)
        table.add_column(no_wrap=True)
        for check in found:
            own = _in_short([parameter for parameter in check.parameters if parameter not in shared])
            left = [check.name, *indented(own, names, first="  ")] if own else [check.name]
            table.add_row("\n".join(left), "\n".join(wrap(_prose(check.documentation.partition("\n")[0]), room)))
        parts += [*wrap(f"{title[0].upper()}{title[1:]}{told}", width), table, ""]
    shown = "[argument]: may be left out. `quantgate checks NAME` shows everything about one check."
    return draw([*parts, *wrap(shown, width)], color=False).rstrip("\n")


def describe(name: str, width: int) -> str:
    """Everything about one check.

    Args:
        name: As slice files write it.
        width: Of the terminal.

    Raises:
        UsageError: There is none of that name.
    """
    families = builtin_families()
    for title, registry in families.items():
        check = registry.get(name)
        if check is not None:
            return description(check, title, width)
    raise UsageError(f"unknown check {name[:60]!r}", hint=_hint(name[:200], families))


def description(check: Check, title: str, width: int) -> str:
    """Everything about a check.

    Args:
        check: A registered check.
        title: Its family.
        width: Of the terminal.
    """
    return "\n".join(_lines_about(check, title, min(width, _WIDEST)))


def _lines_about(check: Check, title: str, width: int) -> Iterator[str]:
    about, of_arguments = _parted(check.documentation)
    yield f"{check.name}  ({title})"
    yield ""
    for paragraph in _paragraphs(_prose(about)):
        is_item = paragraph.startswith("- ")
        text = paragraph.removeprefix("- ") if is_item else paragraph
        yield from indented(text, width, first="- " if is_item else "", rest="  " if is_item else "")
    yield ""
    if check.parameters:
        yield "arguments"
        for parameter in check.parameters:
            first, kinds = f"  {parameter.name}  ", _kinds(parameter, is_shorthand=parameter == check.shorthand)
            yield from indented(kinds, width, first=first.ljust(len(_INSET)), rest=_INSET)
            if parameter.name in of_arguments:
                yield from indented(_prose(of_arguments[parameter.name]), width, first=_INSET)
    else:
        yield "takes no arguments"
    if check.decided is not None:
        yield ""
        yield from wrap("decided early: with --quant-stop-early answers end once all of their checks are", width)
    yield ""
    yield "in a slice file"
    yield "  checks:"
    for example in examples_of(check):  # not wrapped: they are there to be copied
        yield f"    - {example}"


def _kinds(parameter: Parameter, *, is_shorthand: bool) -> str:
    kinds = " or ".join(kind.phrase for kind in parameter.kinds)
    needed = "required" if parameter.required else _default(parameter.default)
    return f"{kinds}; {needed}{'; what a bare value means' if is_shorthand else ''}"


def _default(value: Any) -> str:
    if value in (None, (), ""):
        return "may be left out"
    return f"default {str(value).lower() if isinstance(value, bool) else repr(value)}"


def _all_of(registry: CheckRegistry) -> list[Check]:
    """A family's checks, in the order of their names."""
    return [check for check in map(registry.get, registry.names()) if check is not None]


def _shared(found: Sequence[Check]) -> list[Parameter]:
    """The arguments that every check of a large family takes."""
    if len(found) <= _MANY:
        return []
    first, *others = found
    return [parameter for parameter in first.parameters if all(parameter in other.parameters for other in others)]


def _in_short(parameters: Sequence[Parameter]) -> str:
    return " ".join(parameter.name if parameter.required else f"[{parameter.name}]" for parameter in parameters)


def _hint(name: str, families: Mapping[str, CheckRegistry]) -> str:
    names = [known for registry in families.values() for known in registry.names()]
    holding = [known for known in names if name and name in known]
    if holding:
        return f"these have it in their names: {', '.join(holding)}"
    return nearest(name, names, otherwise="`quantgate checks` shows all of them")


def _prose(documentation: str) -> str:
    """Documentation as plain text: without the marks of code around names."""
    return documentation.replace("``", "`")


def _parted(documentation: str) -> tuple[str, Mapping[str, str]]:
    """A docstring without its section on arguments, and what this says of each."""
    text, _, section = documentation.partition("\n\nArgs:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        definition = _DEFINITION.fullmatch(line)
        if definition:
            name = definition[1].removesuffix("_")
            found[name] = definition[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return text, found


def _paragraphs(text: str) -> Iterator[str]:
    """Its paragraphs and list items, each in one line; an empty one stands between paragraphs."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        item = ""
        for line in paragraph.splitlines():
            if line.startswith("- ") and item:
                yield item
                item = ""
            item = f"{item} {line.strip()}".strip()
        yield item
