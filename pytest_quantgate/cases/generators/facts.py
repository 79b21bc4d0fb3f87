"""The ``facts`` generator: what a model knows by heart, asked so that the very next token tells.

Each fact is asked in three phrasings, which share its cluster. The model's answer is begun for it ("The capital of
France is"), and the check is the rank of the true continuation, so a case costs one pass over a short prompt. The
facts stand in ``facts.json``: relation by relation, the phrasings (question, beginning of the answer) and the pairs
of subject and answer, or of subject and all acceptable answers.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.generators.filler import Pack
from pytest_quantgate.cases.generators.seeded import read_seed, rng_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems
    from pytest_quantgate.cases.surroundings import Surroundings

_KEYS: Final = ("seed", "n", "relations")
_SUBJECT: Final = "{subject}"


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact.

    Attributes:
        phrasings: Question and beginning of the answer, each with a place for the subject.
        answers: By subject, every acceptable answer.
    """

    phrasings: tuple[tuple[str, str], ...]
    answers: Mapping[str, tuple[str, ...]]


@cache
def relations() -> Mapping[str, Relation]:
    """All relations of the data file by name, in its order."""
    text = files("pytest_quantgate.cases.generators").joinpath("facts.json").read_text("utf-8")
    return {
        name: Relation(
            phrasings=tuple((question, begin) for question, begin in entry["phrasings"]),
            answers={
                subject: (answer,) if isinstance(answer, str) else tuple(answer) for subject, answer in entry["pairs"]
            },
        )
        for name, entry in json.loads(text).items()
    }


def facts(parameters: Node, problems: Problems, _surroundings: Surroundings) -> Sequence[Mapping[str, object]]:
    """Make recall cases, three for each fact.

    Args:
        parameters: ``seed``; ``n``, how many facts, taken from the relations in turn (all when left out); and
            ``relations``, the names of some (all when left out). Without ``n`` the seed decides nothing but order.
        problems: Where parameters that do not fit are noted.
        _surroundings: Not looked at.

    Returns:
        The cases as a slice file would write them, relation by relation; none when there are problems.
    """
    before = len(problems)
    pairs = fields.mapping(parameters, "generator 'facts'", problems, known=_KEYS, required=("seed",)) or {}
    seed = read_seed(pairs, problems)
    chosen = fields.names_of(pairs, "relations", "relation", problems, known=relations())
    there = sum(len(relations()[name].answers) for name in chosen)
    n = fields.integer_of(pairs, "n", problems, least=1, most=max(there, 1)) if "n" in pairs else there
    if seed is None or n is None or len(problems) > before:
        return ()
    return [case for name, subject in _dealt(seed, chosen, n) for case in _cases(name, subject)]


def _dealt(seed: int, chosen: Sequence[str], n: int) -> list[tuple[str, str]]:
    """Relation and subject of ``n`` facts: one of each relation in turn, those of a relation together."""
    decks = []
    for name in chosen:
        subjects = tuple(relations()[name].answers)
        pack = Pack(rng_at(seed, name), subjects)
        decks.append([(name, pack.deal()) for _ in subjects])
    in_turn = chain.from_iterable(zip_longest(*decks))
    taken = islice((fact for fact in in_turn if fact is not None), n)
    return sorted(taken, key=lambda fact: chosen.index(fact[0]))


def _cases(name: str, subject: str) -> Iterator[Mapping[str, object]]:
    relation = relations()[name]
    cluster = f"{name}-{_slug(subject)}"
    for number, (question, begin) in enumerate(relation.phrasings, start=1):
        yield {
            "id": f"{cluster}-{number}",
            "prompt": _filled(question, subject),
            "answer_prefix": _filled(begin, subject),
            "subject": _filled(_SUBJECT, subject) if begin.startswith(_SUBJECT) else subject,
            "checks": [{"recall": {"answer": list(relation.answers[subject])}}],
            "tags": [name],
            "cluster": cluster,
        }


def _filled(phrasing: str, subject: str) -> str:
    text = phrasing.replace(_SUBJECT, subject)
    return text[0].upper() + text[1:]


def _slug(subject: str) -> str:
    """A subject as part of an id: small ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", subject).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
