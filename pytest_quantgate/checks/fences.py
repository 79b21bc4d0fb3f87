"""Where the structured part of an answer is: one policy for JSON, YAML, CSV, XML and function calls.

Either the whole answer, stripped of white space, is the structured text; or the answer has exactly one fenced block
(three backticks at the start of a line, closed by three backticks alone), unmarked or marked with the format's name,
and the text is what the block holds, with any text around it. Nothing is searched for: a program that reads answers
cannot guess either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import islice

from pytest_quantgate.checks.early import complete_lines, once
from pytest_quantgate.checks.finding import Finding, quoted

_FENCE = re.compile(r"^ {0,3}```(?P<mark>[^`\n]*)$", re.MULTILINE)


class NoStructureError(ValueError):
    """Why an answer holds no text of the wanted format, as a reason."""


def structured_text(answer: str, marks: Collection[str]) -> str:
    """The part of an answer that must be of a format, by the policy of this module.

    A line that is a fence is one wherever it stands, also inside a text of YAML, CSV or XML; JSON has no such lines.

    Args:
        answer: What a model answered.
        marks: What a fence may be marked with besides nothing, in lower case; the first is the format's name.

    Raises:
        NoStructureError: The answer is empty, or its fences are not those of one block of the format.
    """
    stripped = answer.strip()
    if not stripped:
        msg = "the answer is empty"
        raise NoStructureError(msg)
    # no more than needed to see that there are too many
    fences = list(islice(_FENCE.finditer(stripped), 5))
    if not fences:
        return stripped
    if len(fences) > 4:  # noqa: PLR2004  (two blocks have four)
        msg = "several fenced blocks, one expected"
        raise NoStructureError(msg)
    if len(fences) % 2 or any(fence["mark"].strip() for fence in fences[1::2]):
        msg = "a fenced block is not closed"
        raise NoStructureError(msg)
    if len(fences) > 2:  # noqa: PLR2004  (one opens, one closes)
        msg = "2 fenced blocks, one expected"
        raise NoStructureError(msg)
    opening, closing = fences
    mark = opening["mark"].strip()
    if mark and mark.lower() not in marks:
        msg = f"the fenced block is marked {quoted(mark)}, not {next(iter(marks))}"
        raise NoStructureError(msg)
    # only whole lines go: what stands at the start of the first one may be YAML's indentation
    text = stripped[opening.end() : closing.start()].strip("\r\n").rstrip()
    if not text.strip():
        msg = "the fenced block is empty"
        raise NoStructureError(msg)
    return text


def block_decided(so_far: str, marks: Collection[str], judge: Callable[[str], Finding]) -> bool | None:
    """False once an answer's fences are certainly not those of one good block; bare text may be followed by one.

    Args:
        so_far: The beginning. Its last line may go on, and is not looked at.
        marks: As for `structured_text`.
        judge: What a check says of an answer; of a closed block it must go by the block alone.
    """
    lines = complete_lines(so_far).lstrip()
    fences = list(islice(_FENCE.finditer(lines), 3))
    mark = fences[0]["mark"].strip().lower() if fences else ""
    if len(fences) > 2 or (mark and mark not in marks):  # noqa: PLR2004  (one opens, one closes)
        return False
    return once(len(fences) > 1 and judge(lines[: fences[1].end()]).followed is False, means=False)
