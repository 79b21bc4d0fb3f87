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


def no_command(text: str) -> str:
    r"""Text of which no line is a command to the runner of GitHub Actions, which reads all that is logged.

    What it would obey (``::error::`` at the beginning of a line, ``##[error]`` anywhere) is written as ``\x3a:error::``
    and ``#\x23[error]``.

    Args:
        text: Lines that are ``visible``.
    """
    return "\n".join(map(_no_command, text.split("\n"))) if "::" in text or "##[" in text else text


def _no_command(line: str) -> str:
    if line.lstrip().startswith("::"):
        line = line.replace(":", r"\x3a", 1)
    return line.replace("##[", r"#\x23[")
