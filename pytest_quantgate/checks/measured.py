"""Reads what was measured for ``recall`` checks, wherever it was written down."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from pytest_quantgate.cases.nodes import Node, plain
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.checks.model import Recall

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_recall(node: Node, problems: Problems) -> tuple[Recall, ...]:
    """What was measured of each text, as a run report writes it.

    Args:
        node: A list of objects with the fields of `Recall`.
        problems: Where everything that is wrong with it is noted.

    Returns:
        What could be read; nothing where the list itself cannot be.
    """
    from msgspec import ValidationError, convert

    noted = len(problems)
    value = plain(node, problems)
    if len(problems) > noted:  # half a surrogate pair, which msgspec stumbles over
        return ()
    try:
        measured = convert(value, tuple[Recall, ...], strict=True)
    except ValidationError as error:
        problems.add(node.line, f"'recall' is not as a run report writes it: {error}")
        return ()
    for each in measured:
        if each.problem is None and not _is_whole(each):
            needs = "needs as many ranks, ties and log-probabilities as tokens"
            problems.add(node.line, f"'recall' of {quoted(each.text)} {needs}")
    return measured


def _is_whole(recall: Recall) -> bool:
    lists: tuple[Sequence[object], ...] = (recall.token_ids, recall.ranks, recall.ties, recall.log_probabilities)
    lengths = set(map(len, lists))
    return (
        len(lengths) == 1
        and lengths != {0}
        and min(recall.ranks) >= 1
        and min(recall.ties) >= 0
        and all(isfinite(value) and value <= 0 for value in recall.log_probabilities)
    )
