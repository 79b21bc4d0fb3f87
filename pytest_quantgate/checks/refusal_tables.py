"""The words of willingness, read from one table per language in ``refusal_words/``; see the README there."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import resources
from typing import Any

from pytest_quantgate.checks.arguments import listed
from pytest_quantgate.checks.needles import Index

_ENTRY = re.compile(r"<([A-Za-z_]+)>")

# Arabic is written with and without hamza on alef, vowel signs and stretched lines: read all as one.
_ARABIC: dict[int, int | None] = {
    **dict.fromkeys((0x622, 0x623, 0x625, 0x671), 0x627),
    0x649: 0x64A,
    **dict.fromkeys((0x640, *range(0x64B, 0x660))),
}


class Pattern:
    """One pattern, compiled when it is first looked for: most languages are never met.

    Args:
        text: Of the module ``re``.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern, to search with."""
        return re.compile(self.text)


@dataclass(frozen=True, slots=True)
class Patterns:
    """Several patterns that are looked for together, as ``first|second|...`` finds them; false without any.

    Attributes:
        members: The patterns.
    """

    members: tuple[Pattern, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.members)

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first match; where several begin alike, that of the pattern which stands first."""
        found = None
        for member in self.members:
            match = member.compiled.search(text, start)
            if match is not None and (found is None or match.start() < found.start()):
                found = match
        return found

    def split(self, text: str) -> Iterator[str]:
        """What stands around the matches; none of them is empty."""
        start = 0
        while (found := self.search(text, start)) is not None:
            yield text[start : found.start()]
            start = found.end()
        yield text[start:]


@dataclass(frozen=True, slots=True)
class Table:
    """What is known about the words of one language, or of several together.

    Attributes:
        declines: A sentence in which the one who speaks declines to do something.
        bare: Nothing but a no.
        limits: Makes a declining sentence a hedge, when an answer stands beside it.
        hedges: An opening that declines and then answers: no refusal.
        asides: A sentence that gives nothing of what was asked.
        turns: Where a sentence is cut in two: "but".
        dictates: A sentence's part before a colon, when what stands behind it is said by someone else.
        letters: The beginning of a letter or a message.
        opens: An answer's first clause, which declines there and nowhere else.
        reproaches: A judgement of the request itself.
        appeals: Asks for something else to be done; with a reproach and nothing more, it declines.
        alternatives: From here on the answer is about something else than what was asked ...
        returns: ... until here.
    """

    declines: Patterns
    bare: Patterns
    limits: Patterns
    hedges: Patterns
    asides: Patterns
    turns: Patterns
    dictates: Patterns
    letters: Patterns
    opens: Patterns
    reproaches: Patterns
    appeals: Patterns
    alternatives: Patterns
    returns: Patterns


def folded(text: str) -> str:
    """Text as the patterns expect its letters: small, composed, Arabic variants read as one."""
    return _composed(text.lower())


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text).translate(_ARABIC)


@cache
def languages() -> tuple[str, ...]:
    """The codes of the languages that have a table."""
    names = (entry.name for entry in resources.files(__package__).joinpath("refusal_words").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


class Tables:
    """The tables of several languages as one.

    Args:
        codes: The languages, in the order in which their patterns are tried.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        raw = [_read(code) for code in codes]
        self._patterns = [(key, Pattern(text)) for key in Table.__slots__ for table in raw for text in table[key]]
        self._index = Index(pattern.text for _, pattern in self._patterns)

    def for_text(self, text: str) -> Table:
        """The table of what a text, or a part of it, could match: all that is left out is not in it."""
        return self._of(self._index.possible(text))

    @lru_cache(maxsize=4096)  # noqa: B019  (there is one of these for each set of languages)
    def _of(self, places: int) -> Table:
        members: dict[str, list[Pattern]] = {key: [] for key in Table.__slots__}
        for place, (key, pattern) in enumerate(self._patterns):
            if places >> place & 1:
                members[key].append(pattern)
        return Table(**{key: Patterns(tuple(each)) for key, each in members.items()})

    @cached_property
    def whole(self) -> Table:
        """The table of everything."""
        return self._of((1 << len(self._patterns)) - 1)


@cache
def tables_of(codes: tuple[str, ...]) -> Tables:
    """The tables of these languages; read once."""
    return Tables(codes)


def table_for(text: str) -> Table:
    """What is known in all languages about the words of a text; nothing of what it cannot hold."""
    return tables_of(languages()).for_text(text)


def _read(code: str) -> Mapping[str, tuple[str, ...]]:
    path = resources.files(__package__).joinpath("refusal_words", f"{code}.toml")
    raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    words: dict[str, str] = raw.get("words", {})
    sentences: dict[str, Any] = raw["sentences"]
    return {key: tuple(_written_out(listed(sentences.get(key, [])), words)) for key in Table.__slots__}


def _written_out(patterns: Iterable[str], words: Mapping[str, str]) -> Iterable[str]:
    """Patterns with every ``<name>`` replaced, also within the entries themselves; letters folded as answers are."""
    for pattern in patterns:
        whole = pattern
        while _ENTRY.search(whole):
            whole = _ENTRY.sub(lambda entry: words[entry.group(1)], whole)
        yield _composed(whole)
