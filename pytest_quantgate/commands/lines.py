"""Files with one JSON object a line, read one line at a time: such files may be larger than memory."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.json_lines import read_json_lines
from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems

STDIN: Final = "-"

LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of the longest line that is read; an answer of 100,000 tokens takes less than one of these sixteen."""


def lines_of(name: str, shown: str) -> Iterator[bytes]:
    """The lines of a file, one by one.

    Args:
        name: The file, or ``-`` for standard input.
        shown: How errors name it.

    Raises:
        UsageError: It cannot be read, or a line is too long to be one answer.
    """
    hint = "name a file with one JSON object per line"
    if name == STDIN and sys.stdin is None:
        raise UsageError("closed", where=shown, hint=hint)
    try:
        with nullcontext(sys.stdin.buffer) if name == STDIN else Path(name).open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    what = f"longer than {LONGEST_LINE // 2**20} MiB"
                    raise UsageError(what, where=f"{shown}:{number}", hint=hint)
                yield line
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot be read: {reason}", where=shown, hint=hint) from None


def object_of(line: bytes, problems: Problems) -> Node | None:
    """What stands on a line, read alone, as line 1.

    Args:
        line: The line, with or without its end.
        problems: Where it is noted when the line cannot be read.

    Returns:
        None when the line is blank or cannot be read.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(1, f"not UTF-8: byte 0x{line[error.start]:02x} ({error.reason})")
        return None
    return next(iter(read_json_lines(text, problems)), None)
