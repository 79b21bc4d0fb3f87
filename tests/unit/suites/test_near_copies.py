"""No two cases of the built-in suites are near-copies: each must be able to tell something of its own.

Cases of one cluster vary one prompt on purpose and are left out. Likeness is the share of words that two prompts have
in common in order (normalized Indel similarity over words, capitals and punctuation aside).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from pytest_quantgate.cases.model import Case
from pytest_quantgate.cases.suites import suite_names
from tests.unit.suites.shipped import slices_of

LIKE = 0.9
LONG = 400  # words; of longer prompts the beginning and the question are compared
SHORT = 8  # words; one other word or number in a prompt as short as this is another question

WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A case and its words, each written as one character."""

    suite: str
    name: str
    cluster: tuple[str, str] | None
    words: str


def words_of(case: Case) -> list[str]:
    chat = [message.content for message in case.messages if message.role != "system"]
    chat += [case.answer_prefix, *(turn.prompt for turn in case.later)]
    words = WORD.findall(" ".join(chat).lower())
    return words if len(words) <= LONG else words[: LONG - 50] + words[-50:]


@cache
def prompts() -> tuple[Prompt, ...]:
    signs: dict[str, str] = {}
    return tuple(
        Prompt(
            suite,
            f"{suite}/{loaded.name}/{case.id}",
            None if case.cluster is None else (loaded.name, case.cluster),
            "".join(signs.setdefault(word, chr(0x10000 + len(signs))) for word in words_of(case)),
        )
        for suite in suite_names()
        for loaded in slices_of(suite).values()
        for case in loaded.cases
    )


def is_copy(one: Prompt, other: Prompt) -> bool:
    if one.cluster is not None and one.cluster == other.cluster:
        return False
    return one.words == other.words or min(len(one.words), len(other.words)) > SHORT


@pytest.mark.parametrize("suite", suite_names())
def test_no_case_nearly_copies_another(suite: str) -> None:
    everyone = prompts()
    mine = [index for index, prompt in enumerate(everyone) if prompt.suite == suite]
    words = [prompt.words for prompt in everyone]
    alike = cdist(words[mine[0] : mine[-1] + 1], words, scorer=Indel.normalized_similarity, score_cutoff=LIKE)
    pairs = ((everyone[mine[0] + int(row)], everyone[int(column)]) for row, column in np.argwhere(alike >= LIKE))
    found = [f"{one.name} ~ {other.name}" for one, other in pairs if one.name < other.name and is_copy(one, other)]
    assert found == []
