"""Untrusted text in GitHub's Markdown: shown and never obeyed.

GitHub makes mentions, references, links and emoji of plain text after Markdown is done, so that no backslash keeps
them away. It does not look into code: whatever could be taken for more than words stands in code spans and fences.
"""

from __future__ import annotations

import html
import re
from itertools import groupby
from typing import Final

from pytest_quantgate.printable import visible

LONGEST_NAME: Final = 60
"""Characters of a name that Markdown shows, so that a page has room for many."""

LONGEST_LINE: Final = 600
"""Characters of a reason that Markdown shows."""

_LETTERS: Final = r"[^\W\d_]+(?:[-→'][^\W\d_]+)*"
_NUMBER: Final = r"[±+-]?\d{1,6}(?:[.,]\d{1,6})*%?(?:[-→]\d{1,6}(?:[.,]\d{1,6})*%?)?"
_COMMIT: Final = r"[0-9a-f]{7}"
"""How a word begins that GitHub may take for a commit."""

_WORD: Final = re.compile(rf"→|\(*(?!{_COMMIT})(?:{_LETTERS}|{_NUMBER})[),.;:]*")
"""Words that mean nothing to Markdown or GitHub wherever they stand, but ..."""

_FIRST: Final = re.compile(rf"\(*(?!{_COMMIT}){_LETTERS}[),.;:]*")
"""... at the beginning of a line, where a number makes a list."""


def code(name: str) -> str:
    r"""Untrusted text as a code span that is safe in a table's cell: no link, mention or tag comes of it.

    Bars are written ``\x7c``, since a cell ends at a bar even inside a code span.
    """
    return span(name.replace("|", r"\x7c"), LONGEST_NAME)


def span(text: str, longest: int = LONGEST_LINE) -> str:
    """Untrusted text on one line, as a code span."""
    text = _cut(text, longest)
    if not text.strip():
        return "(no name)" if not text else "(blank)"
    fence = "`" * (1 + _longest_run(text))
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def told(text: str, longest: int = LONGEST_LINE) -> str:
    """A sentence with untrusted text in it, on one line: all but plain words and numbers stand in code spans."""
    words = _cut(text, longest).split()
    plain = [bool((_WORD if place else _FIRST).fullmatch(word)) for place, word in enumerate(words)]
    parts = []
    for is_plain, run in groupby(zip(plain, words, strict=True), key=lambda pair: pair[0]):
        joined = " ".join(word for _, word in run)
        parts.append(joined if is_plain else _spanned(joined))
    return " ".join(parts)


def told_lines(text: str, indent: str) -> str:
    """The same for a text of several lines, each further one indented: a list item stays one."""
    shown = text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"
    return f"\n{indent}".join(told(line) for line in shown.split("\n") if line.strip())


def _spanned(words: str) -> str:
    """Words as a code span, what the sentence closes them with behind it."""
    inner = words.rstrip(",;:") or words
    return span(inner, len(inner)) + words[len(inner) :]


def fenced(text: str, language: str = "text") -> str:
    """Untrusted text on lines of its own, in a fence that nothing in it can close."""
    shown = visible(text, keep="\n")
    fence = "`" * max(3, 1 + _longest_run(shown))
    return f"{fence}{language}\n{shown}\n{fence}\n"


def folded(title: str, inner: str) -> str:
    """Markdown that is shown when its title, untrusted text, is clicked."""
    shown = html.escape(_cut(title, 2 * LONGEST_NAME))
    return f"<details><summary><code>{shown}</code></summary>\n\n{inner}\n</details>\n"


def _cut(text: str, longest: int) -> str:
    """Visible text of at most so many characters, and an ellipsis where it is longer."""
    shown = visible(text[: longest + 1])
    return f"{shown[:longest]}…" if len(text) > longest or len(shown) > longest else shown


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
