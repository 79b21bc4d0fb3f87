"""Reads tables in the formats in which data sets are published: JSON lines, JSON lists, CSV; also gzipped.

They are untrusted: bounded in size, parsed without running anything, and every bad row is told with its own line.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases.files import MAX_BYTES, decoded, read_bytes
from pytest_quantgate.cases.json_lines import GIVEN_UP, MOST_BAD, read_json_lines
from pytest_quantgate.cases.nodes import MAX_DEPTH, Node, TooDeepError, node_of
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.cases.strict_json import DECODER
from pytest_quantgate.csv_text import CsvError, csv_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_quantgate.cases.problems import Problems

MAX_ROWS: Final = 100_000
"""Most rows of one table; OR-Bench, the largest one known here, has 80,359."""

SUFFIXES: Final = (".jsonl", ".json", ".csv")
"""Of files that can be read, each also with ``.gz`` behind it."""


def read_table(path: Path, problems: Problems, columns: Sequence[str] = ()) -> list[Node]:
    """Read a file's rows.

    Args:
        path: A file whose suffix is known.
        problems: Where every row that cannot be read is noted.
        columns: Names of a CSV file's columns when its first line does not tell them.

    Returns:
        The rows that could be read, each with its line.
    """
    suffixes = path.name.lower().removesuffix(".gz")
    if not suffixes.endswith(SUFFIXES):
        problems.add(
            1, f"not a table that can be read: it must end in {', '.join(SUFFIXES)}, or in one of them and .gz"
        )
        return []
    data = read_bytes(path, problems)
    if data is not None and path.name.lower().endswith(".gz"):
        data = _unpacked(data, problems)
    text = None if data is None else decoded(data, problems)
    if text is None:
        return []
    if suffixes.endswith(".csv"):
        rows = _csv_rows(text, problems, columns)
    elif text.lstrip().startswith("["):
        rows = _listed(text, problems)
    else:  # also in files that end in .json: BFCL's are JSON lines
        rows = read_json_lines(text, problems, MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        problems.add(rows[MAX_ROWS].line, f"more than {MAX_ROWS:,} rows: cut the file")
    if not rows and not problems:
        problems.add(1, "the file holds no rows")
    return rows[:MAX_ROWS]


def rows_of(objects: Iterable[Any], problems: Problems) -> list[Node]:
    """Rows that a library gave, numbered from 1."""
    rows: list[Node] = []
    for number, row in enumerate(objects, start=1):
        if number > MAX_ROWS:
            problems.add(number, f"more than {MAX_ROWS:,} rows: name a smaller subset or split")
            break
        _add(rows, row, number, problems)
    return rows


def _unpacked(data: bytes, problems: Problems) -> bytes | None:
    """What was zipped; a small file may unpack to more than any memory, so no more is read than a file may hold."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        problems.add(1, f"not a gzip file that can be read: {error}")
        return None
    if len(unpacked) > MAX_BYTES:
        problems.add(1, f"larger than {MAX_BYTES // 2**20} MiB when it is unpacked")
        return None
    return unpacked


def _csv_rows(text: str, problems: Problems, columns: Sequence[str]) -> list[Node]:
    rows: list[Node] = []
    names = list(columns)
    before = len(problems)
    try:
        for start, values in csv_rows(text):
            if not values:
                continue
            if not names:
                names = values
                twice = sorted(name for name, times in Counter(names).items() if times > 1)
                if twice:
                    problems.add(start, f"the first line names a column twice: {quoted(twice[0])}")
                    break
            elif len(rows) > MAX_ROWS:
                break
            elif len(problems) - before == MOST_BAD:
                problems.add(start - 1, GIVEN_UP)
                break
            elif len(values) != len(names):
                problems.add(start, f"a row has {len(values)} values, not {len(names)} ({', '.join(names)[:200]})")
            else:
                _add(rows, dict(zip(names, values, strict=True)), start, problems)
    except CsvError as error:
        problems.add(error.line, f"bad CSV: {error}")
    return rows


def _listed(text: str, problems: Problems) -> list[Node]:
    """The items of a JSON list, each with the line on which it begins."""
    rows: list[Node] = []
    before = len(problems)
    for item, line in _items(text, problems):
        if len(rows) > MAX_ROWS:
            break
        if len(problems) - before == MOST_BAD:
            problems.add(line - 1, GIVEN_UP)
            break
        _add(rows, item, line, problems)
    return rows


def _items(text: str, problems: Problems) -> Iterator[tuple[Any, int]]:
    place = text.index("[") + 1
    line, counted = 1, 0
    wanted_comma = False
    while True:
        while place < len(text) and text[place] in " \t\r\n":
            place += 1
        line, counted = line + text.count("\n", counted, place), place
        mark = text[place : place + 1]
        if mark == "]":
            if text[place + 1 :].strip():
                problems.add(line, "bad JSON: something follows the list")
            return
        if wanted_comma:
            if mark != ",":
                problems.add(line, "bad JSON: a comma or the end of the list is missing")
                return
            place += 1
            wanted_comma = False
            continue
        try:
            item, place = DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            problems.add(error.lineno, f"bad JSON: {error.msg} (column {error.colno})")
            return
        except RecursionError:
            problems.add(line, f"nested deeper than {MAX_DEPTH} levels")
            return
        except ValueError as error:
            problems.add(line, f"bad JSON: {error}")
            return
        yield item, line
        wanted_comma = True


def _add(rows: list[Node], row: Any, line: int, problems: Problems) -> None:
    try:
        rows.append(node_of(row, line))
    except TooDeepError:
        problems.add(line, f"nested deeper than {MAX_DEPTH} levels")
    except TypeError as error:  # a library's own types: dates, images
        problems.add(line, f"a row holds something that is not plain JSON: {error}")
