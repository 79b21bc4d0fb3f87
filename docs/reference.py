"""Write the reference pages from the code: `python docs/reference.py`, into docs/reference/.

Nothing here is told twice: every sentence is a help text, a docstring or an annotation of the code. A test says that
the pages are up to date.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

from pytest_quantgate import cli
from pytest_quantgate.cases.generators import GENERATORS
from pytest_quantgate.cases.model import Case, Slice, Turn
from pytest_quantgate.cases.read_case import CASE_KEYS, MOST_NEW_TOKENS, MOST_TURNS, TURN_KEYS
from pytest_quantgate.cases.read_gate import GATE_KEYS
from pytest_quantgate.cases.read_slice import _DEFAULT_KEYS, _SLICE_KEYS, DEFAULT_MAX_NEW_TOKENS
from pytest_quantgate.cases.sources import builtin_sources
from pytest_quantgate.checks.builtin import builtin_families
from pytest_quantgate.checks.examples import examples_of
from pytest_quantgate.checks.registry import Check
from pytest_quantgate.commands.checks import _kinds, _parted, _prose
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.plugin import hookspecs
from pytest_quantgate.plugin.settings import SETTINGS

DOCS: Final = Path(__file__).parent
SCHEMA: Final = DOCS / "schemas" / "run-report-4.schema.json"
_INI: Final = {"linelist": "one per line", "bool": "`true` or `false`"}
_GENERATED: Final = "<!-- written by docs/reference.py; change the code instead -->"

Lines = Iterable[str]


def options() -> Iterator[str]:
    """Every option of pytest and its ini key."""
    yield "# Options of pytest"
    yield "Precedence: command line, slice file, ini file, default. Without `--quant-cand` the plugin does nothing."
    for setting in SETTINGS.values():
        yield f"## `{' '.join(filter(None, (setting.option, setting.metavar)))}`"
        yield _escaped(setting.help)
        kind = f" ({_INI[setting.type]})" if setting.type in _INI else ""
        yield f"Ini key: `{setting.key}`{kind}." if setting.ini else "No ini key: it is decided for one run."


def commands() -> Iterator[str]:
    """Every command, its arguments and its options."""
    parser = cli._parser()  # noqa: SLF001  (what the command itself goes by)
    subparsers = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001
    yield "# The command `quantgate`"
    yield from _told(parser.description or "")
    yield _escaped((parser.epilog or "").strip()[0].upper() + (parser.epilog or "").strip()[1:] + ".")
    for name, command in subparsers.choices.items():
        yield f"## `quantgate {name}`"
        yield from _told(command.description or "")
        yield _table(
            ("argument", "what it is"),
            ((_spelling(action), _escaped(action.help or "")) for action in command._actions if action.dest != "help"),  # noqa: SLF001
        )


def gates() -> Iterator[str]:
    """Every limit of a gate."""
    yield "# Limits of a gate"
    yield f"{inspect.getdoc(GatePolicy) or ''}".partition("\n")[0]
    yield (
        "Every key may stand under `gate` in a slice file. Those with an option may be given on the command line, "
        "which goes before the file, and in the ini file, which the slice file goes before."
    )
    told, defaults = _attributes(GatePolicy), {field.name: field.default for field in fields(GatePolicy)}
    rows = []
    for key in GATE_KEYS:
        setting = SETTINGS.get(f"quant_{key}")
        shown = "not judged" if defaults[key] is None else f"`{defaults[key]}`"
        rows.append((f"`{key}`", _escaped(told[key]), shown, f"`{setting.option}`" if setting else ""))
    yield _table(("key", "meaning", "default", "option"), rows)


def slice_format() -> Iterator[str]:
    """Every key of a slice file."""
    yield "# Keys of a slice file"
    yield "[Slice files](../slice-files.md) tells them with examples; this is what the code says of each."
    of_slice, of_case, of_turn = _attributes(Slice), _attributes(Case), _attributes(Turn)
    origin = "Where the cases come from; exactly one of `cases`, `generate` and `dataset`."
    known = {
        "slice": of_slice["name"],
        "description": of_slice["description"],
        "gate": "What the gate tolerates: [limits of a gate](gates.md).",
        "defaults": f"For all cases: {', '.join(f'`{key}`' for key in _DEFAULT_KEYS)}.",
        "cases": f"{origin} A list, or the path of a JSON Lines file.",
        "generate": f"{origin} A [generator](generators.md) and its parameters.",
        "dataset": f"{origin} A [public data set](data-sets.md) and what is drawn from it.",
    }
    yield _table(("key", "meaning"), ((f"`{key}`", known[key]) for key in _SLICE_KEYS))
    asked = "What is asked; exactly one of `prompt`, `messages` and `turns`."
    limit = f"1 to {MOST_NEW_TOKENS:,}; {DEFAULT_MAX_NEW_TOKENS} unless `defaults` say something else."
    known = {
        "id": of_case["id"],
        "prompt": f"{asked} {of_turn['prompt']}",
        "messages": f"{asked} {of_case['messages']}",
        "turns": f"{asked} A list of at most {MOST_TURNS}, each with {', '.join(f'`{key}`' for key in TURN_KEYS)}.",
        "system": "A system message for this case; `''` for none.",
        "checks": f"{of_case['checks']} [Checks](checks.md).",
        "max_new_tokens": f"{of_case['max_new_tokens']} {limit}",
        **{key: of_case[key] for key in ("answer_prefix", "subject", "tags", "cluster")},
    }
    yield "## Keys of a case"
    yield _table(("key", "meaning"), ((f"`{key}`", known[key]) for key in CASE_KEYS))


def checks() -> Iterator[str]:
    """Every check, by family."""
    yield "# Checks"
    yield "[Checks](../checks.md) tells what they have in common; `quantgate checks NAME` shows what stands here."
    for title, registry in builtin_families().items():
        yield f"## {title[0].upper()}{title[1:]}"
        for check in (found for found in map(registry.get, registry.names()) if found is not None):
            yield from _check(check)


def _check(check: Check) -> Iterator[str]:
    about, of_arguments = _parted(check.documentation)
    yield f"### `{check.name}`"
    yield _escaped(re.sub(r"(?<!\n)\n(- )", r"\n\n\1", _prose(about), count=1))
    if check.parameters:
        rows = []
        for parameter in check.parameters:
            kinds = _kinds(parameter, is_shorthand=parameter == check.shorthand)
            rows.append((f"`{parameter.name}`", _escaped(kinds), _escaped(of_arguments.get(parameter.name, ""))))
        yield _table(("argument", "value", "meaning"), rows)
    yield _fenced("yaml", "checks:\n" + "\n".join(f"  - {example}" for example in examples_of(check)))


def data_sets() -> Iterator[str]:
    """Every public data set."""
    yield "# Public data sets"
    yield "`quantgate sources` also says which of them are on your machine. [Data sets](../datasets.md) tells the rest."
    registry = builtin_sources()
    for source in (found for found in map(registry.get, registry.names()) if found is not None):
        yield f"## `{source.name}`"
        yield _escaped(f"{source.description[0].upper()}{source.description[1:]}.")
        subsets = ", ".join(f"`{name}`" for name in getattr(source, "subsets", ()))
        rows = [
            ("licence", _escaped(source.licence)),
            ("homepage", f"<{source.homepage}>"),
            ("how to get it", _escaped(source.how_to_get)),
            ("answers", f"up to {source.max_new_tokens} tokens, unless the slice file's defaults say something else"),
            ("subsets", subsets),
        ]
        yield _table(("", ""), (row for row in rows if row[1]))


def generators() -> Iterator[str]:
    """Every generator of cases."""
    yield "# Generators"
    yield "The same seed gives the same cases anywhere. [Slice files](../slice-files.md) has an example of each."
    for name, generator in GENERATORS.items():
        about = inspect.getdoc(inspect.getmodule(generator)) or ""
        yield f"## `{name}`"
        yield _escaped(_prose(about))
        parameters = re.search(r"parameters: (.*?)\n    \w+:", inspect.getdoc(generator) or "", re.DOTALL)
        told = " ".join(parameters[1].split()) if parameters else ""
        if "read_parameters" in told:
            told = f"{_shared_parameters(generator)};{told.partition(';')[2]}"
        yield f"Parameters: {_escaped(_prose(told))}"


def _shared_parameters(generator: Callable[..., object]) -> str:
    """What generators with the same parameters say of them in one place."""
    reader = inspect.getmodule(generator).__dict__["read_parameters"]
    told = re.search(r"(?:parameters|node): (.*?)\n    \w+:", inspect.getdoc(reader) or "", re.DOTALL)
    return " ".join(told[1].split()).rstrip(".") if told else ""


def hooks() -> Iterator[str]:
    """Every hook, with its example."""
    yield "# Hooks"
    yield _escaped(inspect.getdoc(hookspecs) or "")
    for name, hook in vars(hookspecs).items():
        if not name.startswith("pytest_"):
            continue
        text, _, example = (inspect.getdoc(hook) or "").partition("\n\nExample:\n")
        about, _, arguments = text.partition("\n\nArgs:\n")
        yield f"## `{name}({', '.join(inspect.signature(hook).parameters)})`"
        yield _escaped(_prose(about))
        yield _table(
            ("argument", "what it is"),
            ((f"`{each}`", _escaped(told)) for each, told in re.findall(r"^    (\w+): (.+)$", arguments, re.MULTILINE)),
        )
        yield from _example(dedent(example))


def _example(text: str) -> Iterator[str]:
    """Paragraphs, and what is indented below two colons as code."""
    for part in re.split(r"\n\n(?=\S)", text):
        prose, colons, code = part.partition("::\n")
        yield _escaped(_prose(f"{prose}:" if colons else prose))
        if colons:
            yield _fenced("python", re.sub(r"\n\n(?=\S)", "\n\n\n", dedent(code).strip()))


def run_report() -> Iterator[str]:
    """Every key of a stored run."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    yield "# The run report"
    yield (
        "What `--quant-report-json` and `quantgate gate --report-json` write, and every other view is made of. The "
        f"[JSON Schema](../schemas/{SCHEMA.name}) is the same as a file. Later releases may add keys."
    )
    yield from _object(schema)
    for name, definition in schema["$defs"].items():
        yield f"## {name}"
        yield from _object(definition)


def _object(schema: Mapping[str, Any]) -> Iterator[str]:
    yield _escaped(schema.get("description", ""))
    if "properties" in schema:
        rows = [
            (f"`{key}`", _type(value), _escaped(value.get("description", "")))
            for key, value in schema["properties"].items()
        ]
        yield _table(("key", "type", "meaning"), rows)
    else:
        yield f"Type: {_type(schema)}."


def _type(schema: Mapping[str, Any]) -> str:
    """A type of JSON Schema in a few words."""
    named: str | None = schema.get("$ref", "").rpartition("/")[2] or None
    if named:
        return f"[{named}](#{named.lower()})"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    kinds = schema.get("type", "any value")
    for kind, key, told in (("array", "items", "list"), ("object", "additionalProperties", "object")):
        if kinds == kind and isinstance(schema.get(key), dict):
            return f"{told} of {_type(schema[key])}"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _attributes(cls: type) -> dict[str, str]:
    """What a class's docstring says of each attribute."""
    section = (inspect.getdoc(cls) or "").partition("\n\nAttributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: _prose(" ".join(text.split())) for name, text in found}


def _told(description: str) -> Iterator[str]:
    """A help text: its paragraphs, and what is indented as code."""
    for part in description.strip("\n").split("\n\n"):
        if not part.startswith("  "):
            yield _escaped(part)
            continue
        code = dedent(part)
        yield _fenced("jsonl" if code.startswith("{") else "sh", code)


def _spelling(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        return f"`{name or '|'.join(action.choices or [action.dest])}`"
    value = name or ("|".join(map(str, action.choices)) if action.choices else "")
    return f"`{action.option_strings[-1]} {value}`".replace(" `", "`")


def _escaped(text: str) -> str:
    """Text without Markdown's or HTML's meaning, but for code spans and list items, which it may have."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"([*\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", parts[at]).replace("<", "&lt;")
    return "".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(heads), " | ".join("---" for _ in heads), *lines))


def _fenced(language: str, code: str) -> str:
    return f"```{language}\n{code}\n```"


PAGES: Final[Mapping[str, Callable[[], Lines]]] = {
    "options.md": options,
    "commands.md": commands,
    "slice-format.md": slice_format,
    "gates.md": gates,
    "checks.md": checks,
    "data-sets.md": data_sets,
    "generators.md": generators,
    "hooks.md": hooks,
    "run-report.md": run_report,
}


def written(page: str) -> str:
    """The text of one page."""
    heading, *parts = [part for part in PAGES[page]() if part]
    return "\n\n".join([heading, _GENERATED, *parts]) + "\n"


if __name__ == "__main__":
    (DOCS / "reference").mkdir(exist_ok=True)
    for name in PAGES:
        (DOCS / "reference" / name).write_text(written(name), encoding="utf-8")
