"""The map of a mixed variant: patterns of module names to specs, read from a file or from the spec itself.

Patterns are names as ``skip=`` takes them, in which ``*`` stands for any part of one name. The first pattern that
matches a module decides; what none matches stays as ``fp16`` has it. A pattern without a letter means all layers but
the output head, as quantizers do: to quantize that, name it.

A spec may name a model of its own, ``stored@FOLDER``. In a file a relative path is seen from the folder of that file. A
spec in a spec that names one stands between parentheses: what stands behind the whole map is the model of all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.files import read_text
from pytest_quantgate.cases.nodes import Node
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.yaml_nodes import read_yaml
from pytest_quantgate.errors import FileError, SpecError, nearest
from pytest_quantgate.variants.modules import matches
from pytest_quantgate.variants.seen import model_from
from pytest_quantgate.variants.spec import MIX, VariantSpec, is_inline, parse_spec

MOST_RULES: Final = 1000

_PATTERN: Final = re.compile(r"[\w*]+(\.[\w*]+)*", re.ASCII)
_STAR: Final = re.compile(r"^\s*\*", re.MULTILINE)
_EXAMPLE: Final = "for example down_proj=int8;*=nf4"
CLOSE: Final = "a part that has a model of its own stands between two: down_proj=(stored@MODEL)"
"""What to do about a parenthesis too few."""


@dataclass(frozen=True, slots=True)
class MixMap:
    """Which spec each module has.

    Attributes:
        rules: Pattern and spec, in the order in which they are tried; at least one.
        places: ``FILE:LINE`` of each pattern; empty for a map that stands in a spec. Equal maps may differ in it.
    """

    rules: tuple[tuple[str, VariantSpec], ...]
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        """The canonical text, as it can stand in a spec."""
        return ";".join(
            f"{pattern}={spec}" if spec.model is None else f"{pattern}=({spec})" for pattern, spec in self.rules
        )

    @property
    def specs(self) -> tuple[VariantSpec, ...]:
        """The different specs, in order."""
        return tuple(dict.fromkeys(spec for _, spec in self.rules))

    @property
    def models(self) -> tuple[str, ...]:
        """The different models that specs name as their own, in order."""
        return tuple(dict.fromkeys(spec.model for spec in self.specs if spec.model is not None))

    def resolve(self, modules: Iterable[str], head: str, where: str) -> Mapping[str, VariantSpec]:
        """The spec of each module that some pattern matches, in the order of the modules.

        Args:
            modules: Full names of the model's linear layers.
            head: That of the output head.
            where: The variant, for the message.

        Raises:
            SpecError: A pattern matches none, or none that is left by those above it.
        """
        names = list(modules)
        found: dict[str, str] = {}
        for pattern, _ in self.rules:
            covered = [name for name in names if _covers(pattern, name, head)]
            if not covered:
                parts = {part for name in names for part in name.split(".") if not part.isdigit()}
                raise SpecError(
                    f"the model has no linear layer {pattern!r}",
                    where=self.places.get(pattern, where),
                    hint=nearest(pattern, (*names, *parts), otherwise=f"known: {', '.join(sorted(parts))}"),
                )
            left = [name for name in covered if name not in found]
            if not left:
                above = ", ".join(map(repr, dict.fromkeys(found[name] for name in covered)))
                raise SpecError(
                    f"{pattern!r} matches nothing that the patterns above it have not matched already: {above}",
                    where=self.places.get(pattern, where),
                    hint="put it above them, or leave it out: the first pattern that matches decides",
                )
            found.update(dict.fromkeys(left, pattern))
        specs = dict(self.rules)
        return {name: specs[found[name]] for name in names if name in found}

    def place_of(self, head: str, otherwise: str) -> str:
        """``FILE:LINE`` of the pattern that decides about the output head.

        Args:
            head: Its name.
            otherwise: What to give of a map that stands in a spec.
        """
        decides = (pattern for pattern, _ in self.rules if _covers(pattern, head, head))
        return self.places.get(next(decides, ""), otherwise)


def _covers(pattern: str, module: str, head: str) -> bool:
    """Whether a pattern stands for a module; one without a letter does not for the output head."""
    return (module != head or bool(pattern.strip("*."))) and matches(pattern, module)


def read_map(text: str) -> MixMap:
    """Reads what stands behind ``mix:``.

    Args:
        text: ``PATTERN=SPEC;PATTERN=(SPEC@MODEL)``; or the path of a YAML or JSON file that maps patterns to specs,
            which is absolute or has no equals sign.

    Raises:
        SpecError: A rule in the text that is none.
        FileError: The file cannot be read, or is not such a map; every problem as FILE:LINE.
    """
    return _inline(text) if is_inline(text) else _from_file(text)


def _inline(text: str) -> MixMap:
    rules: dict[str, VariantSpec] = {}
    where = f"variant {f'{MIX}:{text}'!r}"
    for piece in text.split(";"):
        pattern, equals, spec = (part.strip() for part in piece.partition("="))
        if not piece.strip():
            hint = f"leave out a semicolon, which separates two parts, {_EXAMPLE}"
            raise SpecError("a part of the map is empty", where=where, hint=hint)
        if not equals:
            pattern, colon, spec = (part.strip() for part in piece.partition(":"))
            hint = f"did you mean {f'{pattern}={spec}'!r}?" if colon else _EXAMPLE
            raise SpecError(f"{piece.strip()!r} gives no pattern its spec", where=where, hint=hint)
        if pattern in rules:
            raise SpecError(f"the pattern {pattern!r} is there twice", where=where, hint="leave one out")
        rules[pattern] = _rule(pattern, spec, where)
    return MixMap(tuple(rules.items()))


def _from_file(path: str) -> MixMap:
    problems = Problems(path)
    text = read_text(Path(path).expanduser(), problems)
    document = None if text is None else read_yaml(text, problems)
    rules = [] if document is None else _rules(document, problems)
    if text is not None and (star := _STAR.search(text)):
        problems.add(text.count("\n", 0, star.end()) + 1, "a pattern that begins with '*' must be quoted in YAML")
    if problems:
        hint = None if text is not None else f"a map that stands in the spec has equals signs, {_EXAMPLE}"
        raise FileError(problems.found(), hint=hint)
    folder = Path(path).expanduser().parent
    return MixMap(
        tuple((pattern, _seen_from(folder, spec)) for pattern, spec, _ in rules),
        {pattern: f"{path}:{line}" for pattern, _, line in rules},
    )


def _seen_from(folder: Path, spec: VariantSpec) -> VariantSpec:
    return spec if spec.model is None else replace(spec, model=model_from(folder, spec.model))


def _rules(document: Node, problems: Problems) -> list[tuple[str, VariantSpec, int]]:
    """Patterns, their specs, and their lines."""
    if not isinstance(document.value, dict):
        fields.wrong_type(document, "a mix must be a mapping of module patterns to specs", problems)
        return []
    if not 0 < len(document.value) <= MOST_RULES:
        problems.add(document.line, f"a mix has from 1 to {MOST_RULES:,} patterns, not {len(document.value):,}")
        return []
    rules = []
    for pattern, node in document.value.items():
        spec = fields.text(node, f"the spec of {quoted(pattern)}", problems)
        if spec is None:
            continue
        try:
            rules.append((pattern, _rule(pattern, spec, problems.path), node.line))
        except SpecError as error:
            problems.add(node.line, "; ".join(filter(None, (error.what, error.hint))))
    return rules


def _rule(pattern: str, text: str, where: str) -> VariantSpec:
    """The spec of one rule.

    Raises:
        SpecError: The pattern or the spec is none, or the spec is one that cannot be part of a mix.
    """
    if not _PATTERN.fullmatch(pattern) or len(pattern) > fields.LONGEST_NAME:
        raise SpecError(f"{quoted(pattern)} is no pattern of module names", where=where, hint=_EXAMPLE)
    opened, closed = text.startswith("("), text.endswith(")")
    if opened != closed and (opened or "(" not in text):  # a path may hold some
        what = f"{pattern}: a parenthesis is not {'closed' if opened else 'opened'} ({quoted(text)})"
        raise SpecError(what, where=where, hint=CLOSE)
    if opened:
        text = text[1:-1]
    try:
        spec = parse_spec(text)
    except SpecError as error:
        raise SpecError(f"{pattern}: {error.what} ({quoted(text)})", where=where, hint=error.hint) from None
    refused = {
        "a mix": spec.name == MIX,
        "a served model": spec.served,
        "an adapter": spec.lora is not None,
        "quantized keys and values": spec.kv is not None,
    }
    for what, found in refused.items():
        if found:
            hint = "+kv: and +lora: stand behind the whole mix"
            raise SpecError(f"{pattern}: {what} cannot be part of a mix ({quoted(text)})", where=where, hint=hint)
    if skipped := spec.names("skip"):
        hint = f"give what stays as it is a pattern of its own above this one: {skipped[0]}=fp16"
        raise SpecError(f"{pattern}: skip= has no place in a mix ({quoted(text)})", where=where, hint=hint)
    return spec
