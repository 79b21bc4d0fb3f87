"""Reads the ``dataset`` of a slice file: the source it names, and the cases that this gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.nodes import MAX_DEPTH, Node, TooDeepError, node_of
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.sources import builtin_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.cases.read_case import CaseReader
    from pytest_quantgate.cases.sources.registry import RawCase
    from pytest_quantgate.cases.surroundings import Surroundings

ReaderOf: TypeAlias = "Callable[[Problems, int], CaseReader]"
"""Makes the reader of the cases of one file, given where its problems go and the usual length of an answer."""


def read_dataset(node: Node, surroundings: Surroundings, problems: Problems, reader_of: ReaderOf) -> tuple[Case, ...]:
    """Read the cases of a ``dataset``.

    Args:
        node: What stands under the key.
        surroundings: What the slice file is read in.
        problems: Those of the slice file, where everything that is wrong is noted.
        reader_of: Makes the reader of a file's cases.
    """
    sources = builtin_sources() if surroundings.sources is None else surroundings.sources
    read = fields.named(node, "'dataset'", "name", problems, kind="dataset", known=sources.names())
    if read is None:
        return ()
    name, parameters = read
    source = sources[name]
    before = len(problems)
    try:
        found: Sequence[RawCase] = source.cases(parameters, problems, surroundings)
    except Exception as error:  # noqa: BLE001  (a source of any origin: its fault is one line, not a traceback)
        told = " ".join(f"{type(error).__name__}: {error}".split())
        problems.add(node.line, f"dataset {name!r} failed: {told[:300]}")
        return ()
    if len(problems) > before:
        return ()
    if not found:
        problems.add(node.line, f"dataset {name!r} gives no cases")
    return _read_all(found, node.line, problems, lambda of: reader_of(of, source.max_new_tokens))


def _read_all(
    found: Sequence[RawCase], line: int, problems: Problems, reader_of: Callable[[Problems], CaseReader]
) -> tuple[Case, ...]:
    """Read cases that may stand in several files, each with problems of its own."""
    places: dict[str, Problems] = {}
    readers: dict[str, CaseReader] = {}
    ids: dict[str, str] = {}
    cases: list[Case] = []
    for raw in found:
        path = raw.path or problems.path
        if path not in readers:
            places[path] = Problems(path)
            readers[path] = reader_of(places[path])
        own = line if raw.path is None else raw.line
        try:
            case = readers[path].read(node_of(_plain(raw.case), own))
        except TooDeepError:
            places[path].add(own, f"nested deeper than {MAX_DEPTH} levels")
            continue
        except TypeError as error:
            places[path].add(own, f"a source gave something that no slice file could say: {error}")
            continue
        if case is None:
            continue
        first = ids.setdefault(case.id, path)
        if first != path:  # within one file its reader tells
            places[path].add(own, f"duplicate id {quoted(case.id)} (first in {first})")
        cases.append(case)
    for of in places.values():
        problems.extend(of.found())
    return tuple(cases)


def _plain(case: object) -> object:
    return dict(case) if isinstance(case, Mapping) else case
