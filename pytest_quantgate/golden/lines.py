"""The lines of a golden or of labels, which anybody may have edited or merged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.json_lines import GIVEN_UP, MOST_BAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.cases.problems import Problems

_CONFLICT: Final = re.compile(r"(<{7}|>{7}|\|{7}|={7})( |\r?$)")
"""A line that git leaves where a merge needs people."""


def numbered_lines(text: str, problems: Problems, *, settle: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number, until too much is wrong with them.

    Args:
        text: The whole file.
        problems: Where a merge conflict, an empty file, and giving up are noted.
        settle: How a merge conflict is settled.
    """
    lines = text.split("\n")  # not splitlines(): it would also cut where nobody ends a line
    conflict = next((number for number, line in enumerate(lines, start=1) if _CONFLICT.match(line)), None)
    if conflict is not None:
        problems.add(conflict, f"a merge conflict: {settle}")
        return
    last = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(problems) >= MOST_BAD:
            problems.add(last, GIVEN_UP)
            return
        last = number
        yield number, line
    if not last:
        problems.add(1, "empty: remove the file, or take it back from version control")
