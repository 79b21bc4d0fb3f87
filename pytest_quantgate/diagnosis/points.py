"""Where a case is looked at: the token at which the candidate parts from the reference; no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One case at the place where its answers part.

    Of a preserved case, whose answers may be the same, it is the place where the reference was least sure.

    Attributes:
        case_id: Of the case.
        degraded: Whether the case broke; else it is there as contrast.
        token_ids: The prompt as the model sees it, and the answer as far as both variants gave the same; at least one.
        target: The reference's next token.
        rival: The candidate's next token; None where it is the same, or where the candidate's answer ended.
        following: The reference's tokens behind ``target``.
        prompt_tokens: How many of ``token_ids`` are the prompt.
        subject: Position of the last token of the case's subject; None where the case marks none.
    """

    case_id: str
    degraded: bool
    token_ids: tuple[int, ...]
    target: int
    rival: int | None
    following: tuple[int, ...]
    prompt_tokens: int
    subject: int | None = None
