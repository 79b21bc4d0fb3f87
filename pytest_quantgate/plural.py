"""Numbers of things, as sentences have them."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """``1 word``, ``2 words``, ``0.5 minutes``.

    Args:
        number: How many.
        noun: What one of them is called; its plural ends in ``s``.
    """
    written = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{written} {noun}{'' if number == 1 else 's'}"
