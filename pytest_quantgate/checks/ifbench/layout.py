"""Instructions on the form of the whole answer and its lines: ``format:...``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from pytest_quantgate.checks.counts import lines
from pytest_quantgate.checks.early import once
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry, once_broken
from pytest_quantgate.checks.ifbench.pieces import keys, sentences, words
from pytest_quantgate.checks.ifbench.vocabulary import MINOR_WORDS
from pytest_quantgate.plural import counted

_TAB = 4
_LETTER_OPTIONS = re.compile(r"\W*a\W++b\W++c", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+")
_AROUND = " \t\r\n\"'`*_.,;:!?()[]\u201c\u201d\u2018"
_ORDINARY_BULLET = re.compile(r"\s*+[-*+\u2022\u2023\u25e6]\s")
_LABELS = ("My Answer:", "My Conclusion:", "Future Outlook:")
_SPACE = re.compile(r"\s")


def options(answer: str, *, options: str) -> Finding:
    """The answer is one of the options and nothing else.

    Options are parted by strokes, by the word ``or``, or by commas. Case, and quotes, emphasis, brackets and
    punctuation around the answer are ignored, except for options that are letters in order (``a), b), c)``):
    these must be answered as they are, but for white space around them.
    """
    bare = _bare_for(options)
    if bare(answer) in map(bare, _choices(options)):
        return followed(f"the answer is {quoted(answer.strip())}")
    return violated(f"the answer {quoted(answer.strip())} is none of the options")


def options_decided(so_far: str, *, options: str) -> bool | None:
    """False as soon as the answer has parted from every option."""
    bare = _bare_for(options)
    begun = bare(so_far)
    return once(not any(bare(choice).startswith(begun) for choice in _choices(options)), means=False)


def _bare_for(options: str) -> Callable[[str], str]:
    """How an option is read: letters in order as they are, others without what may stand around them."""
    return str.strip if _LETTER_OPTIONS.match(options) else _bare


def _choices(options: str) -> list[str]:
    if "/" in options:
        parts = options.split("/")
    elif _OR.search(options):
        parts = [part for choice in _OR.split(options) for part in choice.split(",")]
    else:
        parts = options.split(",")
    return [part.strip() for part in parts if part.strip()]


def _bare(text: str) -> str:
    return text.replace("\u2019", "'").strip(_AROUND).casefold()


def _option_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    if not _choices(arguments["options"]):
        yield "argument 'options' holds no option"


def newline(answer: str) -> Finding:
    """No line has more than one word; what stands between white space is one word."""
    for line in lines(answer):
        written = [run for run in line.split() if words(run)]
        if len(written) > 1:
            return violated(f"a line has {len(written)} words: {quoted(line.strip())}")
    return followed("every word has a line of its own")


def line_indent(answer: str) -> Finding:
    """There are at least two lines that are not blank, each indented deeper than the one before.

    A tab reaches to the next fourth column.
    """
    depths = [_depth(line) for line in lines(answer)]
    if len(depths) < 2:  # noqa: PLR2004  (one step is no stairs)
        return violated("there is only one line")
    for place, (before, after) in enumerate(pairwise(depths), start=2):
        if after <= before:
            return violated(f"line {place} is indented by {after}, the one before by {before}")
    return followed(f"{len(depths)} lines, each indented deeper than the one before")


def _depth(line: str) -> int:
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    return len(indent.expandtabs(_TAB))


def list_(answer: str, *, sep: str) -> Finding:
    """At least two lines begin with the separator (behind white space), and none with an ordinary bullet.

    Ordinary bullets are ``-``, ``*``, ``+`` and the round ones, with white space behind them, unless one of them
    is the separator.
    """
    marker = sep.strip()
    found = lines(answer)
    marked = sum(line.lstrip().startswith(marker) for line in found)
    if marked < 2:  # noqa: PLR2004  (one line is no list)
        return violated(f"{counted(marked, 'line')} beginning with {quoted(marker)}, at least two needed")
    for line in found:
        if _ORDINARY_BULLET.match(line) and not line.lstrip().startswith(marker):
            return violated(f"a line begins with a bullet: {quoted(line.strip())}")
    return followed(f"{marked} lines begin with {quoted(marker)}")


def _separator_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    if not arguments["sep"].strip():
        yield "argument 'sep' is blank"


def sub_bullets(answer: str) -> Finding:
    """There are bullet points with ``*``, and behind each, before the next, a line that begins with ``-``."""
    bullets: list[int] = []
    for line in lines(answer):
        if is_star_bullet(line):
            bullets.append(0)
        elif bullets and line.lstrip().startswith("-") and words(line):
            bullets[-1] += 1
    if not bullets:
        return violated("there are no bullet points with *")
    if 0 in bullets:
        return violated(f"bullet point {bullets.index(0) + 1} has no sub-bullet with -")
    return followed(f"{counted(len(bullets), 'bullet point')}, each with a sub-bullet")


def no_bullets_bullets(answer: str) -> Finding:
    """At least two sentences that end in a full stop, and behind them at least two bullet points with ``*``.

    Bullet points before the second sentence do not count; what stands behind the bullet points does not matter.
    """
    statements = bullets = 0
    prose: list[str] = []
    for line in lines(answer):
        if is_star_bullet(line):
            statements += _statements(prose)
            prose.clear()
            bullets += statements >= 2  # noqa: PLR2004  (what the instruction asks for)
        else:
            prose.append(line)
    if bullets >= 2:  # noqa: PLR2004  (what the instruction asks for)
        return followed(f"{counted(statements, 'sentence')}, then {counted(bullets, 'bullet point')}")
    statements += _statements(prose)
    return violated(
        f"{counted(statements, 'sentence')} with a full stop, {counted(bullets, 'bullet point')} behind two"
    )


def _statements(prose: list[str]) -> int:
    return sum(sentence.text.rstrip(_AROUND.replace(".", "")).endswith(".") for sentence in sentences("\n".join(prose)))


def is_star_bullet(line: str) -> bool:
    """Whether a line begins with a bullet point ``*``, and not with emphasis (``**bold**``, ``*slanted*``)."""
    text = line.strip()
    behind = text[1:]
    return text.startswith("*") and (behind[:1].isspace() or "*" not in behind) and bool(words(behind))


def title_case(answer: str) -> Finding:
    """Every major word begins with a capital, as does the first word, and not all is in capitals.

    Articles, conjunctions and prepositions (of a fixed list) may be small. Words that begin with no
    letter that has a capital do not matter.
    """
    written = words(answer)
    for place, word in enumerate(written):
        if word[0].islower() and (place == 0 or word not in MINOR_WORDS):
            return violated(f"{quoted(word)} begins with a small letter")
    if not any(any(map(str.islower, word)) for word in written) and any(
        word[:2].isupper() and word[1:] for word in written
    ):
        return violated("everything is in capitals")
    return followed("every major word begins with a capital")


def output_template(answer: str) -> Finding:
    """The answer is ``My Answer:``, ``My Conclusion:`` and ``Future Outlook:`` in this order, each with text behind it.

    Each label once, written as here; Markdown emphasis and headings around labels do not matter.
    """
    places = [answer.find(label) for label in _LABELS]
    for label, place in zip(_LABELS, places, strict=True):
        if place < 0:
            return violated(f"lacks {quoted(label)}")
        if answer.count(label) > 1:
            return violated(f"has {quoted(label)} more than once")
    if places != sorted(places):
        return violated("the labels are out of order")
    if keys(answer[: places[0]]):
        return violated(f"does not begin with {quoted(_LABELS[0])}")
    for label, start, end in zip(_LABELS, places, [*places[1:], len(answer)], strict=True):
        if not keys(answer[start + len(label) : end]):
            return violated(f"nothing stands behind {quoted(label)}")
    return followed("the template is filled in")


def no_whitespace(answer: str) -> Finding:
    """The answer has no white space at all, not at its end either."""
    found = _SPACE.search(answer)
    return violated(f"white space at character {found.start() + 1}") if found else followed("no white space")


ENTRIES = (
    Entry("format:options", options, _option_problems, options_decided),
    Entry("format:newline", newline, decided=once_broken(newline)),
    Entry("format:line_indent", line_indent),
    Entry("format:list", list_, _separator_problems),
    Entry("format:sub-bullets", sub_bullets),
    Entry("format:no_bullets_bullets", no_bullets_bullets),
    Entry("format:title_case", title_case),
    Entry("format:output_template", output_template),
    Entry("format:no_whitespace", no_whitespace, decided=once_broken(no_whitespace)),
)
