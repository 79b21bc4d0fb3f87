"""Reads the document of a slice file: its keys, its gate, and its cases from wherever they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.files import beside, read_text
from pytest_quantgate.cases.generators import GENERATORS
from pytest_quantgate.cases.json_lines import read_json_lines
from pytest_quantgate.cases.model import Case, Location, PolicySettings, Slice
from pytest_quantgate.cases.nodes import Node, node_of
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.read_case import CaseReader, max_new_tokens
from pytest_quantgate.cases.read_gate import read_policy, refuse_what_cannot_be_judged
from pytest_quantgate.cases.sources.read import read_dataset
from pytest_quantgate.cases.yaml_nodes import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_quantgate.cases.surroundings import Surroundings

DEFAULT_MAX_NEW_TOKENS: Final = 128

_SLICE_KEYS: Final = ("slice", "description", "gate", "defaults", "cases", "generate", "dataset")
_ORIGINS: Final = ("cases", "generate", "dataset")
_DEFAULT_KEYS: Final = ("max_new_tokens", "system")


class _ReaderOf(Protocol):
    """Makes the reader of one file's cases, given where its problems go and the usual length of an answer."""

    def __call__(self, of: Problems, usual: int = DEFAULT_MAX_NEW_TOKENS, /) -> CaseReader: ...


def read_slice_file(path: Path, surroundings: Surroundings, problems: Problems) -> Slice | None:
    """Read a slice file.

    Args:
        path: The file.
        surroundings: What it is read in.
        problems: Where everything that is wrong is noted.

    Returns:
        The slice; None, or a slice to throw away, when there are problems.
    """
    text = read_text(path, problems)
    document = None if text is None else read_yaml(text, problems)
    return None if document is None else read_slice(document, surroundings, problems)


def read_slice(document: Node, surroundings: Surroundings, problems: Problems) -> Slice | None:
    """Read the document of a slice file.

    Args:
        document: What the file holds.
        surroundings: What the file is read in.
        problems: Where everything that is wrong is noted.

    Returns:
        The slice; None, or a slice to throw away, when there are problems.
    """
    pairs = fields.mapping(document, "a slice file", problems, known=_SLICE_KEYS, required=("slice",))
    if pairs is None:
        return None
    name = fields.name(pairs["slice"], "'slice'", problems) if "slice" in pairs else None
    description = _optional_text(pairs, "description", problems)
    policy = read_policy(pairs["gate"], problems) if "gate" in pairs else PolicySettings()
    limit, system = _defaults(pairs["defaults"], problems) if "defaults" in pairs else (None, "")

    def reader(of: Problems, usual: int = DEFAULT_MAX_NEW_TOKENS) -> CaseReader:
        return CaseReader(surroundings.catalog, of, max_new_tokens=limit or usual, system=system)

    cases = _cases(pairs, document.line, surroundings, problems, reader)
    if "gate" in pairs:
        refuse_what_cannot_be_judged(pairs["gate"], cases, problems)
    if name is None:
        return None
    location = Location(problems.path, pairs["slice"].line)
    return Slice(name, " ".join(description.split()), cases, policy, location)


def _optional_text(pairs: Mapping[str, Node], key: str, problems: Problems) -> str:
    value = fields.text(pairs[key], f"{key!r}", problems, may_be_empty=True) if key in pairs else None
    return value or ""


def _defaults(node: Node, problems: Problems) -> tuple[int | None, str]:
    pairs = fields.mapping(node, "'defaults'", problems, known=_DEFAULT_KEYS) or {}
    return max_new_tokens(pairs, problems), _optional_text(pairs, "system", problems)


def _cases(
    pairs: Mapping[str, Node],
    line: int,
    surroundings: Surroundings,
    problems: Problems,
    reader: _ReaderOf,
) -> tuple[Case, ...]:
    origins = [key for key in _ORIGINS if key in pairs]
    if not origins:
        problems.add(line, "a slice file needs the key 'cases', 'generate' or 'dataset'")
        return ()
    if len(origins) > 1:
        problems.add(pairs[origins[1]].line, f"a slice file has {origins[0]!r} or {origins[1]!r}, not both")
    if origins[0] == "dataset":
        return read_dataset(pairs["dataset"], surroundings, problems, reader)
    if origins[0] == "generate":
        return _read_all(_generated(pairs["generate"], problems, surroundings), reader(problems))
    node = pairs["cases"]
    if isinstance(node.value, list):
        return _read_all(fields.items(node, "'cases'", problems) or (), reader(problems))
    if isinstance(node.value, str):
        return _from_json_lines(node.value, node.line, surroundings.folder, problems, reader)
    fields.wrong_type(node, "'cases' must be a list of cases or the path of a .jsonl file", problems)
    return ()


def _from_json_lines(relative: str, line: int, folder: Path, problems: Problems, reader: _ReaderOf) -> tuple[Case, ...]:
    if not relative.endswith(".jsonl"):
        problems.add(line, f"'cases' must be a list or the path of a .jsonl file, not {quoted(relative)}")
        return ()
    path = beside(folder, relative, line, problems)
    if path is None:
        return ()
    own = problems.beside(relative)
    text = read_text(path, own)
    nodes = [] if text is None else read_json_lines(text, own)
    if not nodes and not own:
        own.add(1, "the file holds no cases")
    cases = _read_all(nodes, reader(own))
    problems.extend(own.found())
    return cases


def _generated(node: Node, problems: Problems, surroundings: Surroundings) -> Iterable[Node]:
    read = fields.named(node, "'generate'", "generator", problems, kind="generator", known=GENERATORS)
    if read is None:
        return ()
    name, parameters = read
    return [node_of(raw, node.line) for raw in GENERATORS[name](parameters, problems, surroundings)]


def _read_all(nodes: Iterable[Node], reader: CaseReader) -> tuple[Case, ...]:
    read = (reader.read(node) for node in nodes)
    return tuple(case for case in read if case is not None)
