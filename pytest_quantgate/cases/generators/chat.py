"""Chats in which a model is shown how others were answered before it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def messages(shots: Iterable[tuple[str, str]], question: str) -> list[dict[str, str]]:
    """The messages of a case, as a slice file would write them.

    Args:
        shots: What was asked before, and how it was answered.
        question: What is asked now.
    """
    chat: list[dict[str, str]] = []
    for asked, answer in shots:
        chat += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*chat, {"role": "user", "content": question}]
