"""Text that nobody has vetted, as text that can be printed."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    r"""Text with everything that is not printable written as Python would: ``\x1b``, ``\u202e``.

    That covers control characters and escape sequences, characters that reverse or hide text, line
    separators, and lone surrogates, which no output encoding accepts.

    Args:
        text: Ids, prompts, answers, reasons: anything from a file or a model.
        keep: Characters to leave as they are, such as a newline.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode("ascii") for each in text
    )
