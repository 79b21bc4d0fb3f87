"""The command lines that run degraded cases again."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.printable import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.report.model import CaseRecord

MOST_CASES = 10
"""Cases that one rerun names: a command line that people still read."""

_KEYWORD = re.compile(r"[\w:+\-.\[\]\\/]+")
"""What pytest's -k takes as one name (_pytest.mark.expression.Scanner)."""


def rerun_commands(base: Sequence[str], records: Sequence[CaseRecord], candidate: str) -> list[str]:
    """Shell lines that run cases of one slice again on one candidate, at most ``MOST_CASES`` of them.

    Cases are chosen by ``-k``. Those whose id ``-k`` cannot express are named by node id, in a line of
    their own since pytest runs what both choose.

    Args:
        base: The command without selection, one string per argument.
        records: The cases to run.
        candidate: Spec of the candidate.

    Returns:
        One line, or two when ids of both kinds occur.
    """
    keywords: list[str] = []
    node_ids: list[str] = []
    for record in records[:MOST_CASES]:
        keyword = full_name(record.slice, record.case.id, candidate)
        if _KEYWORD.fullmatch(keyword):
            keywords.append(keyword)
        else:
            node_ids.append(record.node_ids.get(candidate, keyword))
    lines = [shell_line([*base, "-k", " or ".join(keywords)])] if keywords else []
    return [*lines, shell_line([*_beside(base, node_ids), *node_ids])] if node_ids else lines


def _beside(base: Sequence[str], node_ids: Sequence[str]) -> list[str]:
    """The command without the paths that hold the node ids: they would run everything else in them too."""
    files = [PurePosixPath(node_id.partition("::")[0]) for node_id in node_ids]
    return [
        word
        for before, word in pairwise(("-", *base))
        if before.startswith("-") or not any(file.is_relative_to(word) for file in files)
    ]


def shell_line(arguments: Iterable[str]) -> str:
    """Arguments as one line to paste into a POSIX shell."""
    return visible(shlex.join(arguments))
