"""The instructions of IFBench as checks, each named by its id in the public data.

Arguments are named as in the public data, so that its rows load as they are once nulls are left out. Every check
takes ``loose`` besides; see checks.loose. What the public grader does otherwise is listed in docs/ifbench.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_quantgate.checks.finding import Finding, unscored
from pytest_quantgate.checks.ifbench import (
    counting,
    custom,
    layout,
    marks,
    places,
    ratios,
    repeating,
    sequences,
    tables,
    thesis,
    wording,
)
from pytest_quantgate.checks.loose import strictly, with_loose
from pytest_quantgate.checks.registry import CheckFunction

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

_GROUPS = (counting, ratios, sequences, wording, marks, layout, thesis, repeating, tables, places, custom)

NOT_GRADED: Mapping[str, str] = MappingProxyType(
    {"words:start_verb": "whether a word is a verb depends on its sentence, and no tagger of words is at hand"}
)
"""Instructions of the public data that are registered and never scored, each with the reason."""


def _never_scored(reason: str) -> CheckFunction:
    def check(_answer: str, *, loose: bool = False) -> Finding:  # noqa: ARG001  (every instruction takes it)
        return unscored(reason)

    check.__doc__ = f"Known, and never scored: {reason}."
    return check


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    for group in _GROUPS:
        for entry in group.ENTRIES:
            decided = None if entry.decided is None else strictly(entry.decided)
            registry.register(entry.name, with_loose(entry.judge), validate=entry.validate, decided=decided)
    for name, reason in NOT_GRADED.items():
        registry.register(name, _never_scored(reason))
