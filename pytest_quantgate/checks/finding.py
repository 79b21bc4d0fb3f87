"""What a check function returns, and how it quotes text that nobody has vetted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_quantgate.printable import visible

REASON_LENGTH = 200
"""Longest reason, in characters: reasons stand in tables and on one line of a terminal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found in one answer; the registry adds the check's name to make a CheckResult.

    Attributes:
        followed: True when followed, False when violated, None when it could not be scored.
        reason: For people: what was found, or why it could not be scored.
    """

    followed: bool | None
    reason: str


def followed(reason: str) -> Finding:
    """The answer does what the check asks."""
    return Finding(followed=True, reason=reason)


def violated(reason: str) -> Finding:
    """The answer does not do what the check asks."""
    return Finding(followed=False, reason=reason)


def unscored(reason: str) -> Finding:
    """Nobody can tell: a limit was reached or a library failed, which is not the answer's fault."""
    return Finding(followed=None, reason=reason)


def one_line(text: str, limit: int = REASON_LENGTH) -> str:
    """Any text as one printable line of at most ``limit`` characters.

    Line breaks, control characters, bidirectional overrides and lone surrogates are shown as escapes, so
    that an answer can neither break a report's layout nor fail to be encoded.
    """
    # escapes only make text longer, so what lies beyond the limit need not be looked at
    line = visible(text[: limit + 1])
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def quoted(text: str, limit: int = 60) -> str:
    """A piece of an answer or of an argument, in quotes, on one line."""
    return f"'{one_line(text, limit)}'"


def all_quoted(texts: Iterable[str]) -> str:
    """Several pieces, each in quotes, as a list on one line."""
    return ", ".join(quoted(text, 40) for text in texts)
