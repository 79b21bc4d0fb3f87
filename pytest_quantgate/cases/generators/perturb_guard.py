"""Which parts of a prompt must stay as they are, so that the right answer stays the right one."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

Span = tuple[int, int]

WORD: Final = re.compile(r"(?<![\w'\u2019/@.#\\$%&*_=<>~^+-])[^\W\d_]++(?![\w'\u2019/@#\\$%&*_=<>~^+-]|\.\w)")
"""A word that stands by itself: letters only, no part of a path, an address, a name with a dash or emphasis."""

_KEPT: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion once twice half third
quarter first second fourth fifth sixth seventh eighth ninth tenth last dozen none no not
"""
NUMBER_WORDS: Final = frozenset(_KEPT.split())
"""Numbers in words, and the smallest words that turn a question round."""

# Each class leaves out its own opening sign, so that a page of them is read once.
_QUOTED: Final = re.compile(
    r"""
    ```.*?(?:```|\Z)                        # a fenced block
    |`[^`\n]++`
    |"[^"\n]*+"
    |[\u201c\u201e][^\u201c\u201d\u201e\n]*+[\u201c\u201d]
    |\u00ab[^\u00ab\u00bb\n]*+\u00bb
    |\u2018[^\u2018\u2019\n]*+\u2019(?!\w)
    |(?<![\w'])'[^'\n]++'(?!\w)
    |<[^<>\n]*+>++
    """,
    re.VERBOSE | re.DOTALL,
)
_WITH_DIGIT: Final = re.compile(r"(?<!\S)[^\s\d]*+\d\S*+")
_CODE_START: Final = re.compile(
    r"(?:\t|[ ]{4})\s*+\S|\s*+(?:def|class|import|from|return|elif|else:|assert|async|print|SELECT|@\w)\b"
)
_CODE_SIGN: Final = re.compile(r"->|=>|::|[=|;]|</")
_CODE_END: Final = re.compile(r"\w\([^\s()]*+\):?\Z|\):\Z")
_PAIR_LINE: Final = re.compile(r"\s*+(?:- )?+[\w-]++:(?:\s|\Z)")
_CSV_LINE: Final = re.compile(r"[^,\s]++(?:,[^,\s]++)+\s*+\Z")
_LABEL: Final = re.compile(r"(?<!\w)\(?[A-Za-z][).:](?=\s)|(?<!\w)[B-HJ-Z](?!\w)")
_NAMED: Final = re.compile(r"(?i:\b(?:words?|letters?|terms?|names?|named|called|spell|phrase|label(?:led)?) )(\w++)")
_AFTER_COLON: Final = re.compile(r":[^\S\n]++(\S[^\n]*+)")
# What checks without arguments want to be said word for word.
_FIXED: Final = re.compile(r"(?i:my answer is \w++\.?)")
_ARGUMENT_WORD: Final = re.compile(r"[^\W_]++")
_MOST_ARGUMENTS, _MOST_PHRASES = 10_000, 1_000

_SHORTEST: Final = 4
"""Words of a text that may be written differently."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A prompt, and what of it must not change.

    Left alone are numbers and all that touches a digit, number words, quoted texts, code in backticks or on lines that
    look like it, anything in square or curly brackets, tables, rows and lists of ``key: value``, labels of options,
    text behind a colon, the word after "word" or "letter", words with capitals inside them, and every word and phrase
    that a check's arguments hold.

    Attributes:
        text: The prompt.
        spans: Parts that stay as they are, sorted, apart from each other.
        phrases: Texts of several words that checks quote from the prompt: even their blanks stay.
        words: Small-letter words of the checks' arguments.
        continued: The model's answer is begun for it, so nothing may follow the question.
        shown: Earlier turns show what to do, so the text may be nothing but what it is to be done with.
    """

    text: str
    spans: tuple[Span, ...]
    phrases: tuple[Span, ...]
    words: frozenset[str]
    continued: bool = False
    shown: bool = False

    @classmethod
    def of(cls, text: str, arguments: Iterable[object], *, continued: bool = False, shown: bool = False) -> Guarded:
        """Find what must not change.

        Args:
            text: The prompt.
            arguments: The arguments of all checks.
            continued: Whether the model's answer is begun for it.
            shown: Whether earlier turns of the chat have answers.
        """
        texts = list(islice(_texts(list(arguments)), _MOST_ARGUMENTS))
        words = frozenset(word for each in texts for word in _ARGUMENT_WORD.findall(each.casefold()))
        several = islice((each.strip() for each in dict.fromkeys(texts) if len(each.split()) > 1), _MOST_PHRASES)
        phrases = _merged(span for each in several for span in _places(text, each))
        spans = _merged((*phrases, *_quotes(text), *_brackets(text), *_lines(text), *_named(text)))
        return cls(text, spans, phrases, words, continued, shown)

    def free(self, start: int, end: int) -> bool:
        """Whether nothing from start to end is guarded."""
        place = bisect_right(self.spans, (end, -1)) - 1
        return place < 0 or self.spans[place][1] <= start

    def plain_words(self) -> Iterator[re.Match[str]]:
        """The words that may be written differently; none of a text as short as a label."""
        if len(self.text.split(maxsplit=_SHORTEST - 1)) < _SHORTEST:
            return
        for match in WORD.finditer(self.text):
            word = match.group()
            folded = word.casefold()
            if folded in self.words or folded in NUMBER_WORDS or not self.free(*match.span()):
                continue
            if word == "A" and not self.begins_sentence(match.start()):
                continue  # a label, not an article
            if word[1:].islower() or len(word) == 1:  # neither JSON nor camelCase, nor a script without capitals
                yield match

    def changed(self, changes: Mapping[Span, str]) -> str:
        """The text with some stretches replaced, none of which overlap."""
        pieces, at = [], 0
        for (start, end), new in sorted(changes.items()):
            pieces += [self.text[at:start], new]
            at = end
        return "".join([*pieces, self.text[at:]])

    def begins_sentence(self, start: int) -> bool:
        """Whether what starts here stands at the beginning of the text, a line or a sentence."""
        while start > 0 and self.text[start - 1] in " \t":
            start -= 1
        return start == 0 or self.text[start - 1] in "\n.?!:"


def _texts(value: object) -> Iterator[str]:
    """Every text in a check's arguments, keys of mappings too; numbers as texts."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value.values(), *value]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str | int | float):
            yield str(value)


def _places(text: str, part: str) -> Iterator[Span]:
    at = text.find(part)
    while at >= 0:
        yield at, at + len(part)
        at = text.find(part, at + len(part))


def _quotes(text: str) -> Iterator[Span]:
    for pattern in (_QUOTED, _WITH_DIGIT, _LABEL, _FIXED):
        yield from (match.span() for match in pattern.finditer(text))


def _named(text: str) -> Iterator[Span]:
    for pattern in (_NAMED, _AFTER_COLON):
        yield from (match.span(1) for match in pattern.finditer(text))


def _brackets(text: str) -> Iterator[Span]:
    """Square and curly brackets with all inside; one that is never closed reaches to the end."""
    depth = start = 0
    for match in re.finditer(r"[\[\]{}]", text):
        if match.group() in "[{":
            if depth == 0:
                start = match.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield start, match.end()
    if depth:
        yield start, len(text)


def _lines(text: str) -> Iterator[Span]:
    """Lines of code, of tables and rows, and neighbours of ``key: value``."""
    at, pairs = 0, []
    for line in text.split("\n"):
        span = at, at + len(line)
        at += len(line) + 1
        if _PAIR_LINE.match(line):
            pairs.append(span)
            continue
        if len(pairs) > 1:
            yield from pairs
        pairs = []
        starts = _CODE_START.match(line) or _CSV_LINE.match(line)
        if starts or _CODE_SIGN.search(line) or _CODE_END.search(line.rstrip()):
            yield span
    if len(pairs) > 1:
        yield from pairs


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif end > start:
            merged.append((start, end))
    return tuple(merged)
