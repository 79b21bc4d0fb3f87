"""The languages of the ``multilingual_facts`` and ``multilingual_sums`` generators, and what the two have in common.

Each language is a file of ``languages/``: its phrasings, its names for the facts and its word problems. All files have
the same keys, so that one fact or sum can be asked in any of them; the cases that do so share a cluster. Sentences are
made so that no word in them changes with the name or the number that is put in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.generators.chat import messages
from pytest_quantgate.cases.generators.seeded import read_seed

if TYPE_CHECKING:
    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems

RELATIONS: Final = ("capital", "day_after", "opposite", "colour", "number_word")
STORIES: Final = ("apples", "bus", "boxes", "books", "pages", "tickets", "cookies", "distance")

_WITHOUT_SPACES: Final = ("Han", "Japanese")

_KEYS: Final = ("seed", "n", "each", "languages")
_REQUIRED: Final = ("seed", "n")


@dataclass(frozen=True, slots=True)
class Language:
    """How things are asked in one language.

    Attributes:
        code: ISO 639-1.
        script: The script of an answer, as the check ``script`` names it.
        one_word: Asks for an answer of one word.
        sentence: Asks for an answer that is a sentence.
        number_only: Asks for nothing but the number.
        ask: By relation, the questions for it, with a place for the subject.
        facts: By relation and fact, the subject and then every acceptable answer, the usual one first.
        plain: Questions with a place for a sum.
        stories: By name, word problems with places for their numbers.
    """

    code: str
    script: str
    one_word: str
    sentence: str
    number_only: str
    ask: Mapping[str, Sequence[str]]
    facts: Mapping[str, Mapping[str, Sequence[str]]]
    plain: Sequence[str]
    stories: Mapping[str, str]

    def joined(self, question: str, request: str) -> str:
        """The question and how to answer it, with a space between where the language has any."""
        return f"{question}{'' if self.script in _WITHOUT_SPACES else ' '}{request}"


@cache
def languages() -> Mapping[str, Language]:
    """All languages by code, in the order of their codes."""
    folder = files("pytest_quantgate.cases.generators").joinpath("languages")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    return {name[:2]: _read(name[:2], tomllib.loads(folder.joinpath(name).read_text("utf-8"))) for name in names}


def _read(code: str, raw: Mapping[str, Any]) -> Language:
    return Language(
        code=code,
        script=raw["script"],
        one_word=raw["one_word"],
        sentence=raw["sentence"],
        number_only=raw["number_only"],
        ask=raw["ask"],
        facts={relation: raw[relation] for relation in RELATIONS},
        plain=raw["sums"]["plain"],
        stories={story: raw["sums"][story] for story in STORIES},
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """What both generators are told.

    Attributes:
        seed: Decides all chance.
        n: How many facts or sums.
        each: In how many languages each of them is asked.
        languages: The languages, which take turns.
    """

    seed: int
    n: int
    each: int
    languages: Sequence[Language]

    def taking_turns(self, first: int) -> list[Language]:
        """As many languages as each fact or sum is asked in, from this place of the ring on."""
        return [self.languages[(first + step) % len(self.languages)] for step in range(self.each)]


def read_parameters(name: str, parameters: Node, problems: Problems, *, most: int) -> Parameters | None:
    """Read the parameters of either generator.

    Args:
        name: The generator's, for messages.
        parameters: ``seed``; ``n``, how many facts or sums; ``languages``, codes of those to ask in (all when left
            out); and ``each``, in how many of them each fact or sum is asked (all when left out).
        problems: Where those that do not fit are noted.
        most: The largest ``n``.

    Returns:
        The parameters; None when there are problems.
    """
    before = len(problems)
    pairs = fields.mapping(parameters, f"generator {name!r}", problems, known=_KEYS, required=_REQUIRED) or {}
    seed = read_seed(pairs, problems)
    n = fields.integer_of(pairs, "n", problems, least=1, most=most)
    codes = fields.names_of(pairs, "languages", "language", problems, known=languages())
    each: int | None = len(codes)
    if "each" in pairs:
        each = fields.integer_of(pairs, "each", problems, least=1, most=max(len(codes), 1))
    if seed is None or n is None or each is None or len(problems) > before:
        return None
    return Parameters(seed, n, each, [languages()[code] for code in codes])


def chat(shots: Sequence[tuple[str, str]], question: str) -> dict[str, object]:
    """The question as a prompt, or at the end of a chat in which others were answered."""
    return {"messages": messages(shots, question)} if shots else {"prompt": question}


def tags(language: Language, *more: str) -> list[str]:
    """The tags of language and script, and others."""
    return [f"lang_{language.code}", f"script_{language.script.lower()}", *more]
