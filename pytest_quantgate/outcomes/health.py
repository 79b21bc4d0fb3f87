"""Text health: what the answers of one variant look like, whatever their checks say. No gate judges by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.recall import NAME as RECALL
from pytest_quantgate.checks.script import letters_by_script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantgate.cases.model import Case, Message
    from pytest_quantgate.generation.completion import Completion

LOOP_TIMES: Final = 4
"""A text loops when its end is one piece of text at least so many times in a row, ..."""

LOOP_CHARACTERS: Final = 40
"""... which together are at least so many characters."""

LOOP_WINDOW: Final = 4_000
"""Characters from the end that are looked at."""

SCRIPT_LETTERS: Final = 10
"""Fewest letters of an answer whose script is judged."""

SCRIPT_WINDOW: Final = 20_000
"""Characters from the start whose script is looked at."""

FAMILIAR: Final = 0.1
"""A script with this share of the prompt's letters is one that the answer may be written in."""

REMEMBERED: Final = 4_096
"""Prompts whose letters are counted once, however many variants answer them."""

# Japanese is written in three scripts at once, Chinese in one of them: they are one for this purpose.
_TOGETHER: Final = {"Hiragana": "Han", "Katakana": "Han"}
# Checks that judge the script themselves: the prompt's own then says nothing.
_ASKED_FOR: Final = ("language", "script", "language:response_language")


@dataclass(frozen=True, slots=True)
class Health:
    """What one answer looks like.

    Attributes:
        empty: There is nothing but white space.
        truncated: The model was cut off at the case's limit of tokens; None when nobody recorded why it ended.
        looping: It was cut off while it repeated itself; None likewise.
        wrong_script: Its letters are mostly of a script that the prompt does not use; None when that cannot be
            judged: too few letters, a prompt without letters, or a check that asks for a language or script.
        tokens: Its length; None when it was recorded without its tokens.
    """

    empty: bool
    truncated: bool | None
    looping: bool | None
    wrong_script: bool | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Indicators:
    """What the answers of one variant to one slice look like.

    Attributes:
        answers: Number of answers; prompts that got none are left out.
        empty: How many are empty.
        truncated: How many were cut off at their limit; None when that is not known of every one.
        looping: How many were cut off while they repeated themselves; None likewise.
        wrong_script: How many are written in a script that the prompt does not use.
        mean_tokens: Their mean length; None without answers, or when one was recorded without its tokens.
    """

    answers: int
    empty: int
    truncated: int | None
    looping: int | None
    wrong_script: int
    mean_tokens: float | None


def has_text(case: Case) -> bool:
    """Whether a case asks for text; one that only asks for recall wants probabilities, and its few tokens are cut."""
    return any(spec.name != RECALL for spec in case.checks)


def health_of(case: Case, completion: Completion) -> Health:
    """Look at one answer; time is linear in its length."""
    truncated = cut_off(completion)
    return Health(
        empty=not completion.text.strip(),
        truncated=truncated,
        looping=truncated and repeats_itself(completion.text),
        wrong_script=_wrong_script(case, completion.text),
        tokens=None
        if completion.finish_reason == "decided"
        else completion.length,  # beside whole ones it says nothing
    )


def cut_off(completion: Completion) -> bool | None:
    """Whether the model was cut off at the limit of tokens; None when nobody knows: it was not recorded, or stopped."""
    return None if completion.finish_reason in {"unknown", "decided"} else completion.finish_reason == "length"


def summarize(healths: Iterable[Health]) -> Indicators:
    """Count over the answers of one variant to one slice."""
    found = tuple(healths)
    tokens = _known(health.tokens for health in found)
    return Indicators(
        answers=len(found),
        empty=sum(health.empty for health in found),
        truncated=_total(health.truncated for health in found),
        looping=_total(health.looping for health in found),
        wrong_script=sum(health.wrong_script is True for health in found),
        mean_tokens=fmean(tokens) if tokens else None,
    )


def _total(values: Iterable[int | None]) -> int | None:
    """The sum, unless a value is not known."""
    known = _known(values)
    return None if known is None else sum(known)


def _known(values: Iterable[int | None]) -> list[int] | None:
    """All values, unless one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def repeats_itself(text: str) -> bool:
    """Whether the end of a text is one piece at least four times in a row, over at least 40 characters.

    The piece may itself be cut off in its last repetition. Found with the prefix function (Knuth, Morris and Pratt
    1977) of the reversed end: a prefix of length n with a border of length b has the period n - b.
    """
    end = text[-LOOP_WINDOW:][::-1]
    borders = [0] * len(end)
    for index in range(1, len(end)):
        border = borders[index - 1]
        while border and end[index] != end[border]:
            border = borders[border - 1]
        border += end[index] == end[border]
        borders[index] = border
        length = index + 1
        if length >= LOOP_CHARACTERS and length >= LOOP_TIMES * (length - border):
            return True
    return False


def _wrong_script(case: Case, answer: str) -> bool | None:
    if any(spec.name in _ASKED_FOR for spec in case.checks):
        return None
    given = _letters(answer)
    if given.total() < SCRIPT_LETTERS:
        return None
    told = _told(case.messages)
    if not told:
        return None
    ((script, _),) = given.most_common(1)
    return told[script] < FAMILIAR * told.total()


@lru_cache(REMEMBERED)
def _told(messages: tuple[Message, ...]) -> Counter[str]:
    """Letters of a prompt by script: every variant was asked it."""
    told = Counter[str]()
    for message in messages:
        told += _letters(message.content)
    return told


def _letters(text: str) -> Counter[str]:
    """Letters by script; Han, Hiragana and Katakana are counted together as ``Han``."""
    counts = Counter[str]()
    for script, count in letters_by_script(text[:SCRIPT_WINDOW]).items():
        counts[_TOGETHER.get(script, script)] += count
    return counts
