"""The instruction ``format:thesis``: each section begins with a thesis in italics."""

from __future__ import annotations

import re

from pytest_quantgate.checks.counts import lines
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry
from pytest_quantgate.checks.ifbench.pieces import words
from pytest_quantgate.plural import counted

_HEADING = re.compile(
    r"\s*+(?:#{1,6}\s|<h[1-6][\s>]|\*\*[^*]++\*\*:?\s*+$|(?:section|part)\s++\w++\s*+[:.]?\s*+$)", re.IGNORECASE
)
_LEADING_TAGS = re.compile(
    r"\A(?:\s*+</?(?:p|div|section|article|main|body|html|br|ul|ol|li)(?:\s[^<>]*+)?/?>)*+\s*+", re.IGNORECASE
)
_OPENING = re.compile(r"<(?P<tag>i|em)(?:\s[^<>]*+)?>", re.IGNORECASE)
_CLOSING = {"i": re.compile(r"</i\s*+>", re.IGNORECASE), "em": re.compile(r"</em\s*+>", re.IGNORECASE)}
_TAG = re.compile(r"<[^<>]*+>")


def thesis(answer: str) -> Finding:
    """Each section begins with words in ``<i>`` or ``<em>``, and goes on behind them.

    Sections begin at headings: Markdown's, HTML's, a line all in bold, or ``Section 1``. What stands before the
    first heading, and a heading with nothing below it, are no sections. An answer without headings is one section.
    """
    sections = _sections(answer)
    for place, section in enumerate(sections, start=1):
        problem = _problem(section)
        if problem:
            return violated(f"section {place} {problem}")
    return (
        followed(f"{counted(len(sections), 'section')} with a thesis") if sections else violated("there is no section")
    )


def _sections(answer: str) -> list[str]:
    parts: list[list[str]] = [[]]
    for line in lines(answer):
        if _HEADING.match(line):
            parts.append([])
        else:
            parts[-1].append(line)
    headed = parts[1:] or parts
    return ["\n".join(part) for part in headed if part]


def _problem(section: str) -> str | None:
    text = _LEADING_TAGS.sub("", section, count=1)
    opening = _OPENING.match(text)
    if not opening:
        return f"begins with {quoted(text, 40)}"
    closing = _CLOSING[opening["tag"].lower()].search(text, opening.end())
    if not closing:
        return "has italics that do not end"
    if not words(_TAG.sub(" ", text[opening.end() : closing.start()])):
        return "begins with empty italics"
    if not words(_TAG.sub(" ", text[closing.end() :])):
        return "has nothing behind its thesis"
    return None


ENTRIES = (Entry("format:thesis", thesis),)
