"""What may have been meant by a spec that is none: the nearest specs, and how they are written.

Nothing is taken for something else: all of it goes into the hints of errors. A text is held against whole specs,
against schemes without their names, and against what other tools call the same; case and marks between words do not
matter for that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from pytest_quantgate.errors import nearest
from pytest_quantgate.variants.embedded import EMBEDDED
from pytest_quantgate.variants.kv import SCHEMES as KV_SCHEMES
from pytest_quantgate.variants.registry import (
    LEAST_GROUP,
    MOST_GROUP,
    Entry,
    OptionKind,
    Scheme,
    entry_of,
    variant_names,
)
from pytest_quantgate.variants.seen import looks_like_a_path

_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "fp32": ("float32", "f32", "float"),
    "fp16": ("float16", "f16", "half"),
    "bf16": ("bfloat16",),
    "nf4": ("4bit", "bnbnf4", "bnb4bit", "bitsandbytes", "bitsandbytes4bit", "bitsandbytesnf4", "qlora"),
    "int8": ("8bit", "bnbint8", "bnb8bit", "bitsandbytes", "bitsandbytes8bit", "bitsandbytesint8", "llmint8"),
    "quanto:int4": ("4bit", "qint4"),
    "quanto:int8": ("8bit", "qint8"),
    "quanto:int2": ("2bit", "qint2"),
    "quanto:float8": ("fp8", "e4m3", "qfloat8"),
    "torchao:float8": ("fp8", "e4m3"),
}
"""What other tools call a spec, as ``_plain`` has it."""

_ELSEWHERE: Final = frozenset(
    {
        *("aqlm", "autoawq", "autoround", "awq", "compressedtensors", "eetq", "exl2", "exl3", "ggml", "gguf"),
        *("llmcompressor", "marlin", "mxfp4", "smoothquant", "w4a16", "w4a8", "w8a16", "w8a8"),
    }
)
"""Kinds of checkpoints that are not made here, as ``_plain`` has them."""

_REFUSED: Final = frozenset({"hqq"})  # named last: transformers does not do it yet
_GGUF_TYPE: Final = re.compile(r"[it]?q\d(_\w+)*", re.ASCII | re.IGNORECASE)  # Q4_K_M, IQ2_XXS
_HUB: Final = re.compile(r"\w[\w.-]*(/[\w.-]+)+", re.ASCII)
_NAMED: Final = re.compile(r"([\w.-]+)\s*[:= ]\s*(.+)", re.ASCII)
_ADDITION: Final = re.compile(r"\+\s*(kv|lora)\s*[:=]([^+]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d+", re.ASCII)
_NEAR: Final = 0.6  # likeness, as difflib measures it
_LONGEST: Final = 100  # characters that are compared; of a longer text nobody knows what it is
_MOST: Final = 4  # specs that are named
_DIGITS: Final = 5  # of the largest number in a scheme

ADDED: Final = {"kv": "+kv:int8", "lora": "+lora:FOLDER"}
"""An example of each addition."""

_FORM: Final = "a spec is NAME[:SCHEME][,OPTION...][@MODEL][+kv:SCHEME][+lora:FOLDER]"


def by_name(base: str, behind: str) -> str:
    """The hint for a spec whose name is unknown.

    Args:
        base: Name, scheme and options as the user wrote them; not empty.
        behind: The model and what is added, likewise.
    """
    head, _, options = base.partition(",")

    def whole(spec: str) -> str:
        return f"{spec}{(',' if ':' in spec else ':') + options.strip() if options.strip() else ''}{behind}"

    if found := _same(head):
        return _did_you_mean(map(whole, found))
    if model := _model_in(base):
        return f"{_did_you_mean([f'{model}{behind}'])} before @ stands how the weights of a model are held"
    if _GGUF_TYPE.fullmatch(head.strip()):
        return "this is a type of GGUF files, which are made elsewhere: name the file, stored@FILE.gguf"
    if _plain(head.partition(":")[0]) in _ELSEWHERE:
        return "this is made elsewhere: name the checkpoint, stored@FOLDER, stored@FILE.gguf or stored@ORG/NAME"
    if found := _nearest(head, _called()):
        return _did_you_mean(map(whole, found))
    return f"{nearest('', variant_names())}; {_FORM}"


def by_absence(behind: str) -> str:
    """The hint for a spec without a name.

    Args:
        behind: The model and what is added.
    """
    return f"{f'for example fp16{behind}' if behind else nearest('', variant_names())}; {_FORM}"


def by_scheme(name: str, scheme: Scheme, text: str, after: str) -> str:
    """The hint for a scheme that is none of a name's, or is missing.

    Args:
        name: A known name.
        scheme: What it takes.
        text: What the user wrote for it.
        after: What stands behind it: options with their comma, a model, what is added.
    """
    if _is_model(text):
        return _did_you_mean([f"stored@{text}{after}"])
    found = [f"{each}{after}" for each in _repaired(name, scheme, text)]
    if scheme.bits:
        groups = f"-gG groups of {LEAST_GROUP} to {MOST_GROUP:,} weights"
        row = "; a whole row, elsewhere -1, is written as its number of weights" if text.endswith("-1") else ""
        begin = _did_you_mean(found) if found else f"for example {name}:{scheme.example}:"
        return f"{begin} bits are {_listed(scheme.bits)}, and {groups}{row}"
    if found:
        return _did_you_mean(found)
    return nearest("", scheme.known) if scheme.known else f"for example {name}:{scheme.example}"


def by_option(name: str, entry: Entry, scheme: str | None, part: str, behind: str) -> str:
    """The hint for what stands where an option should, and is none of a name's.

    Args:
        name: A known name.
        entry: What it takes.
        scheme: The scheme that was given; None where there is none.
        part: What the user wrote for the option.
        behind: The model and what is added.
    """
    key = part.partition("=")[0].strip()
    if scheme is None and not behind and _is_model(part):
        return _did_you_mean([f"{name}@{part}"])
    if entry.scheme is not None and scheme and entry.scheme.bits and re.fullmatch(r"-?g?-?\d+", part, re.ASCII):
        return by_scheme(name, entry.scheme, f"{scheme.partition('-')[0]}-{part}", behind)  # a group by itself
    if key.lower() in ADDED:
        return f"it stands behind the whole spec: {ADDED[key.lower()]}"
    if entry.options:
        return nearest(key, entry.options)
    return f"write {example_of(name, entry)!r} alone"


def by_addition(base: str, behind: str) -> str | None:
    """The hint for an addition that stands in a base for want of its colon; None where there is none.

    Args:
        base: As for ``by_name``.
        behind: As for ``by_name``.
    """

    def mended(found: re.Match[str]) -> str:
        key, value = found[1].lower(), found[2].strip()
        return f"+{key}:{next(iter(_kv(value)), value) if key == 'kv' else value}"

    if not _ADDITION.search(base):
        return None
    return _did_you_mean([f"{'fp16' if base.startswith('+') else ''}{_ADDITION.sub(mended, base)}{behind}"])


def by_kv(base: str, text: str) -> str:
    """The hint for a way to quantize keys and values that is none.

    Args:
        base: What stands before ``+kv:``.
        text: What the user wrote behind it.
    """
    found = _kv(text)
    return _did_you_mean(f"{base}+kv:{each}" for each in found) if found else nearest("", KV_SCHEMES)


def _kv(text: str) -> list[str]:
    return _nearest(text, {each: (each,) for each in KV_SCHEMES}, closed=True)


def example_of(name: str, entry: Entry) -> str:
    """A spec of a name."""
    return name if entry.scheme is None else f"{name}:{entry.scheme.example}"


def _same(head: str) -> list[str]:
    """The specs that a text is but for case and marks."""
    name, colon, rest = (each.strip() for each in head.partition(":"))
    plain = _plain(head)
    if colon and (known := next((each for each in variant_names() if _plain(each) == _plain(name)), None)):
        scheme = entry_of(known).scheme
        if scheme is None:
            return [f"{known}:{rest}"]
        fitting = [each for each in (rest, rest.lower()) if re.fullmatch(scheme.pattern, each, re.ASCII)]
        return [f"{known}:{each}" for each in fitting[:1]] or _repaired(known, scheme, rest)
    called = _called()
    if found := called.get(plain):
        return [each for each in found if _plain(each) == plain] or list(found)
    for each in variant_names():
        scheme = entry_of(each).scheme
        if scheme is not None and scheme.bits and plain.startswith(_plain(each)) and not _is_model(head):
            return _repaired(each, scheme, head)
    return []


def _repaired(name: str, scheme: Scheme, text: str) -> list[str]:
    """Specs of a name whose schemes may be meant by a text."""
    if "=" in text:  # an option, before which the scheme is missing
        key = text.partition("=")[0].strip()
        return [f"{name}:{scheme.example},{text}"] if key in entry_of(name).options else []
    if not scheme.bits:
        return [f"{name}:{each}" for each in _nearest(text, {each: (each,) for each in scheme.known}, closed=True)]
    numbers = _NUMBER.findall(text)
    if len(numbers) not in (1, 2) or max(map(len, numbers)) > _DIGITS:
        return []
    mended = "-g".join([f"{int(numbers[0])}bit", *(str(int(each)) for each in numbers[1:])])
    return [f"{name}:{mended}"] if re.fullmatch(scheme.pattern, mended, re.ASCII) else []


def _called() -> Mapping[str, Sequence[str]]:
    """What every spec may be called, without case and marks, and the specs that are called so."""
    found: dict[str, dict[str, None]] = {}
    for name in sorted(variant_names(), key=_REFUSED.__contains__):
        entry = entry_of(name)
        scheme = entry.scheme
        texts: dict[str, tuple[str, ...]]
        if scheme is None:
            flags = [f"{name}:{each}" for each, kind in entry.options.items() if kind is OptionKind.FLAG]
            texts = {each: (each,) for each in (name, *flags)}
        else:
            known = scheme.known or tuple(f"{each}bit" for each in scheme.bits)
            texts = {f"{name}:{each}": (f"{name}:{each}", each) for each in known}
            example = f"{name}:{scheme.example}" if known else name
            texts[example] = (*texts.get(example, ()), name)
        for spec, names in texts.items():
            for each in (*names, *_OTHERS.get(spec, ())):
                found.setdefault(_plain(each), {})[spec] = None
    return {plain: tuple(specs) for plain, specs in found.items()}


def _nearest(text: str, called: Mapping[str, Sequence[str]], *, closed: bool = False) -> list[str]:
    """The specs that are called most like a text: those with the same numbers first.

    A 4 that is taken for an 8 is another quantizer, however much else is alike.

    Args:
        text: What the user wrote.
        called: Specs by what they are called.
        closed: Nothing else can be meant: the same numbers alone will do.
    """
    plain = _plain(text[:_LONGEST])
    names = {each: _plain(each) for each in called}
    numbers = _NUMBER.findall(plain)
    alike = [each for each, name in names.items() if numbers and _NUMBER.findall(name) == numbers]
    near: list[str] = []
    for some in (alike, [*called]):
        likeness = {each: SequenceMatcher(None, names[each], plain).ratio() for each in some}
        best = max(likeness.values(), default=0.0)
        near = near or [each for each, ratio in likeness.items() if ratio == best >= _NEAR]
        if closed and not near:
            near = alike
    return list(dict.fromkeys(spec for each in near for spec in called[each]))


def _model_in(base: str) -> str | None:
    """The spec that is meant where the user named a model alone, or behind something else than ``@``."""
    named = _NAMED.fullmatch(base)
    if named is not None and _is_model(named[2]):
        return f"{named[1] if named[1] in variant_names() else 'stored'}@{named[2]}"
    hub = base.partition(":")[0].strip()
    return f"stored@{hub}" if _HUB.fullmatch(hub) else f"stored@{base}" if _is_model(base) else None


def _is_model(text: str) -> bool:
    """Whether a text names an alias, a file, a folder or a model of the hub, and nothing else."""
    if text in EMBEDDED or looks_like_a_path(text) or _HUB.fullmatch(text):
        return True
    return bool(text) and os.path.exists(text)  # noqa: PTH110  (Path.exists raises where a text is too long for a name)


def _plain(text: str) -> str:
    """A text without case and marks."""
    return re.sub(r"[\W_]+", "", text.lower())


def _listed(bits: Sequence[int]) -> str:
    """``2 to 8``, or ``2, 3, 4 or 8``."""
    if list(bits) == list(range(bits[0], bits[-1] + 1)):
        return f"{bits[0]} to {bits[-1]}"
    return f"{', '.join(map(str, bits[:-1]))} or {bits[-1]}"


def _did_you_mean(specs: Iterable[str]) -> str:
    """The question that names some specs; at least one."""
    *first, last = [repr(each) for each in [*specs][:_MOST]]
    return f"did you mean {', '.join(first)}{' or ' if first else ''}{last}?"
