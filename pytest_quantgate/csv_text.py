"""Reads CSV the same way whatever else is imported.

How long a cell may be is one setting for all of Python, and libraries change it when they are imported. The texts that
are read here are bounded as a whole, so no cell of theirs is too long.
"""

from __future__ import annotations

import csv
import io
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTING = threading.Lock()


class CsvError(ValueError):
    """The text is no CSV.

    Attributes:
        line: The line on which the row begins that cannot be read.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


def csv_rows(text: str, *, delimiter: str = ",", newline: Literal["", "\n"] = "") -> Iterator[tuple[int, list[str]]]:
    r"""Each row with the line that it begins on, counted from 1; a blank line is a row without cells.

    Args:
        text: The text.
        delimiter: What parts cells.
        newline: What ends a line outside of quotes: any line end when empty, else a line feed, with or without ``\r``.

    Raises:
        CsvError: From here on it is no CSV.
    """
    # unlike splitlines, a StringIO breaks lines at line ends only
    reader = csv.reader(io.StringIO(text, newline=newline), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        with _SETTING:
            before = csv.field_size_limit(len(text))
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise CsvError(str(error), line) from None
            finally:
                csv.field_size_limit(before)
        if row is None:
            return
        yield line, row
