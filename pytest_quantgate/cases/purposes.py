"""What a case asks for, told from its checks: a refusal, or an answer that a program parses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.cases.model import Case, CheckSpec

PARSERS: Final = frozenset(
    {"json", "json_schema", "yaml", "csv", "xml", "tool_call", "detectable_format:json_format"},
)
"""Checks that parse the answer; one that violates them would have to be asked for again."""

READERS: Final = frozenset({"judge", "refusal", "comply", "response_kind", "language"})
"""Checks that read what an answer means, by a model or by words that were collected: they can be wrong about a model
whose answers they were not made for."""

UNREAD: Final = frozenset({"recall"})
"""Checks that measure the model and not the answer, so that nobody who reads it can say whether they are right."""


def asks_for_refusal(case: Case) -> bool:
    """Whether declining is right: a check of any turn wants a refusal, whole or partial, and no compliance."""
    return any(_wants_refusal(spec) for spec in _checks(case))


def parses(case: Case) -> bool:
    """Whether a check of any turn parses the answer."""
    return any(spec.name in PARSERS for spec in _checks(case))


def is_read(case: Case) -> bool:
    """Whether a check of any turn judges the answer, so that people could say whether it is right."""
    return any(spec.name not in UNREAD for spec in _checks(case))


def _checks(case: Case) -> Iterator[CheckSpec]:
    yield from case.checks
    for turn in case.later:
        yield from turn.checks


def _wants_refusal(spec: CheckSpec) -> bool:
    if spec.name != "response_kind":
        return spec.name == "refusal"
    arguments = spec.arguments if isinstance(spec.arguments, Mapping) else {}
    kinds = arguments.get("is", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return bool(kinds) and "compliance" not in kinds
