"""The code blocks of a Markdown page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_TITLE = re.compile(r'title="([^"]+)"')
_COMMANDS = ("pytest ", "quantgate ", "pip ", "make ")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block.

    Attributes:
        page: Its page.
        line: The line of the page that the block's text begins on.
        language: The mark of a fenced block; of an indented one what its text is taken for.
        title: What stands above it on the site: the file that it is, or ``output`` for what the commands above print.
        info: Everything that its fence says behind the language.
        text: What it holds.
        indented: Whether it is an indented block, which cannot carry a language.
    """

    page: Path
    line: int
    language: str
    title: str | None
    info: str
    text: str
    indented: bool = False

    @property
    def place(self) -> str:
        """FILE:LINE, for people."""
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    found = []
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type not in {"fence", "code_block"} or token.map is None:
            continue
        indented = token.type == "code_block"
        language, _, rest = token.info.partition(" ")
        title = _TITLE.search(rest)
        found.append(
            Block(
                page,
                token.map[0] + (1 if indented else 2),
                _language(token.content) if indented else language,
                title[1] if title else None,
                rest,
                token.content,
                indented=indented,
            )
        )
    return found


def _language(text: str) -> str:
    """What an indented block is, by how it begins; the README alone has some."""
    first = text.lstrip()
    for language, beginnings in {
        "sh": _COMMANDS,
        "pycon": (">>> ",),
        "ini": ("[pytest]",),
        "python": ("import ", "from "),
        "yaml": ("slice:", "- run:", "- uses:", "checks:", "dataset:"),
    }.items():
        if first.startswith(beginnings):
            return language
    return ""
