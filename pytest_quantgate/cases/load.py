"""Loads slice files: everything that is wrong with them is told in one go, as FILE:LINE.

A slice file is untrusted: loading runs no code, follows no alias, and leaves its folder for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.cases.catalog import CheckCatalog
from pytest_quantgate.cases.files import SLICE_SUFFIX
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.read_slice import read_slice_file
from pytest_quantgate.cases.surroundings import Surroundings, TokenCounter
from pytest_quantgate.errors import Problem, SliceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_quantgate.cases.model import Slice
    from pytest_quantgate.cases.sources.registry import SourceRegistry

__all__ = ["SLICE_SUFFIX", "CheckCatalog", "load_slice", "load_slices"]


def load_slice(
    path: Path,
    catalog: CheckCatalog,
    *,
    shown: str | None = None,
    count_tokens: TokenCounter | None = None,
    sources: SourceRegistry | None = None,
) -> Slice:
    """Load one slice file.

    Args:
        path: The file.
        catalog: Knows the checks that the file may ask for.
        shown: How problems and locations name the file; the path as given when None.
        count_tokens: Counts as the model of the run does; None where no model is known.
        sources: The data sets that the file may name; the built-in ones when None.

    Returns:
        The slice, valid throughout.

    Raises:
        SliceError: The file, or a file of cases that it names, has problems; it carries all of them.
    """
    problems = Problems(str(path) if shown is None else shown)
    loaded = read_slice_file(path, Surroundings(path.parent, catalog, count_tokens, sources), problems)
    if loaded is None or problems:
        raise SliceError(problems.found())
    return loaded


def load_slices(
    paths: Iterable[Path], catalog: CheckCatalog, *, shown: Mapping[Path, str] | None = None
) -> tuple[Slice, ...]:
    """Load several slice files, in order.

    Args:
        paths: The files.
        catalog: Knows the checks that the files may ask for.
        shown: How problems and locations name some of them; the others are named by their path as given.

    Returns:
        Their slices; no two have the same name.

    Raises:
        SliceError: Some file has problems, or two have the same name; it carries all of them.
    """
    slices: dict[str, Slice] = {}
    found: list[Problem] = []
    for path in paths:
        try:
            loaded = load_slice(path, catalog, shown=(shown or {}).get(path))
        except SliceError as error:
            found.extend(error.problems)
            continue
        first = slices.setdefault(loaded.name, loaded)
        if first is not loaded:
            message = f"duplicate slice {quoted(loaded.name)} (first at {first.location})"
            found.append(Problem(loaded.location.path, loaded.location.line, message))
    if found:
        raise SliceError(found)
    return tuple(slices.values())
