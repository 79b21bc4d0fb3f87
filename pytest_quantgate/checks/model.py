"""What a check says of an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check on one answer; "could not be scored" is not "wrong".

    Attributes:
        check: Name of the check.
        followed: True when followed, False when violated, None when it could not be scored.
        reason: One line for people: what was found, or why it could not be scored.
    """

    check: str
    followed: bool | None
    reason: str
