"""Instructions that are whole tasks: ``custom:...``."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

from pytest_quantgate.checks.counts import lines
from pytest_quantgate.checks.finding import Finding, followed, quoted, violated
from pytest_quantgate.checks.ifbench.graded import Entry
from pytest_quantgate.checks.ifbench.pieces import keys
from pytest_quantgate.plural import counted

_DIGITS = re.compile(r"[0-9]++")
_MULTIPLES = ["14", "21", "28", "35", "42", "49"]
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIVED = (date(1769, 8, 15), date(1821, 5, 5))

_QUESTIONS = 4
_OPTIONS = 5
_QUESTION = re.compile(r"[\s#*>]*+Question(?:\s*+[0-9]++)?[\s*]*+[.:)\-]?[\s*]*+(?P<text>.*)")
_OPTION = re.compile(r"[\s*>-]*+\(?(?:[A-Ea-e]|[1-5])[.):]\**+\s*+\S")
_SOLUTION = re.compile(r"[\s*_>(-]*+(?:correct\s++)?answer\b", re.IGNORECASE)


def multiples(answer: str) -> Finding:
    """The numbers of the answer are 14, 21, 28, 35, 42 and 49, in this order, and no others."""
    found = _DIGITS.findall(answer)
    reason = f"numbers: {', '.join(found[:8]) or 'none'}{' ...' if len(found) > 8 else ''}"  # noqa: PLR2004
    return followed(reason) if found == _MULTIPLES else violated(reason)


def date_format_list(answer: str) -> Finding:
    """The answer is dates as YYYY-MM-DD, parted by commas: days that were, in Napoleon's life (1769 to 1821).

    Whether a battle began on them is not judged. A full stop at the end does not matter.
    """
    for part in answer.strip().rstrip(".").split(","):
        text = part.strip()
        day = _day(text)
        if day is None:
            return violated(f"{quoted(text)} is no date as YYYY-MM-DD")
        if not _LIVED[0] <= day <= _LIVED[1]:
            return violated(f"Napoleon did not live on {day}")
    return followed("a list of dates")


def _day(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def mcq_count_length(answer: str) -> Finding:
    """Four questions with five options each, each question longer than the one before, and nothing else.

    A question is a line that begins with ``Question``, and its text goes on to its first option; its length is
    that of its text in characters. Options begin with a letter A to E or a digit 1 to 5, and a full stop, bracket
    or colon. Behind the options only a line that begins with ``Answer`` may stand.
    """
    texts: list[list[str]] = []
    options: list[int] = []
    for line in lines(answer):
        question = _QUESTION.match(line)
        if question:
            texts.append([question["text"].strip()])
            options.append(0)
        elif not texts:
            return violated("does not begin with 'Question'")
        elif _OPTION.match(line):
            options[-1] += 1
        elif not options[-1]:
            texts[-1].append(line.strip())
        elif not _SOLUTION.match(line) and keys(line):
            return violated(f"explains: {quoted(line.strip())}")
    if len(texts) != _QUESTIONS:
        return violated(f"{counted(len(texts), 'question')}, four asked for")
    if options != [_OPTIONS] * _QUESTIONS:
        return violated(f"the questions have {', '.join(map(str, options))} options, five each asked for")
    lengths = [len(" ".join(text).strip()) for text in texts]
    if any(after <= before for before, after in pairwise(lengths)):
        return violated(f"the questions have {', '.join(map(str, lengths))} characters, and do not get longer")
    return followed("four questions of five options, each longer than the one before")


def word_reverse(answer: str) -> Finding:
    """The answer names the bald eagle with its words in reverse order, and nowhere in the right order.

    Whether the rest is a sentence in reverse order is not judged.
    """
    pairs = set(pairwise(keys(answer)))
    if ("bald", "eagle") in pairs:
        return violated("has 'bald eagle' in the right order")
    return followed("has 'eagle bald'") if ("eagle", "bald") in pairs else violated("lacks 'eagle bald'")


def character_reverse(answer: str) -> Finding:
    """The answer names the bald eagle with its letters in reverse order."""
    return followed("has 'elgae dlab'") if "elgae dlab" in answer.casefold() else violated("lacks 'elgae dlab'")


ENTRIES = (
    Entry("custom:multiples", multiples),
    Entry("custom:date_format_list", date_format_list),
    Entry("custom:mcq_count_length", mcq_count_length),
    Entry("custom:word_reverse", word_reverse),
    Entry("custom:character_reverse", character_reverse),
)
