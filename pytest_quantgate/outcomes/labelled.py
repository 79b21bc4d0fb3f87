"""What people can be asked about a check: does this answer do what it asks? And the answers that they were asked about.

A label belongs to a prompt, a check with its arguments, and the text of an answer, whoever gave that answer. Any other
text is another question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from pytest_quantgate.cases.model import Case, CheckSpec, Message, digest_of
from pytest_quantgate.outcomes.clusters import groups_of
from pytest_quantgate.outcomes.model import Comparison, Outcome

Labels: TypeAlias = Mapping[str, Mapping[str, bool]]
"""Whether an answer does what the check asks, as people say: by the check's name and `Graded.key`."""

PROMPTS: Final = 4_096
"""Prompts whose digests are remembered: each is asked for by every check, side and candidate."""

Side = Literal["reference", "candidate"]

Stratum: TypeAlias = tuple[bool | None, bool | None, bool]
"""What the check says of the reference's and of the candidate's answer, and whether both are the same text."""


@dataclass(frozen=True, slots=True)
class Graded:
    """What one check said of one answer.

    Attributes:
        case: What was asked; of a case with later turns, the turn as a case of its own, behind the answers before it.
        turn: Number of the turn, counted from 1.
        place: Which of the case's checks it is, counted from 0.
        text: The answer.
        followed: What the check said; None when it could not say.
    """

    case: Case
    turn: int
    place: int
    text: str
    followed: bool | None

    @property
    def check(self) -> CheckSpec:
        """The check with its arguments."""
        return self.case.checks[self.place]

    @property
    def prompt(self) -> str:
        """Digest of what was asked. How long the answer may be is no part of it: it changes no text's meaning."""
        return _prompt_digest(self.case.messages, self.case.answer_prefix)

    @property
    def key(self) -> str:
        """What a label is bound to: digest of prompt, check and answer."""
        return label_key(self.prompt, digest_of(self.check.canonical()), self.text)


@dataclass(frozen=True, slots=True)
class Pair:
    """What one check said of both answers to one case, or to one turn of it.

    Attributes:
        case_id: The case.
        reference: Of the reference's answer.
        candidate: Of the candidate's.
        group: What the case is drawn together with: its cluster, or itself.
    """

    case_id: str
    reference: Graded
    candidate: Graded
    group: Hashable

    @property
    def stratum(self) -> Stratum:
        """What it is drawn among: labels stand for all the pairs of their stratum."""
        before, after = self.reference, self.candidate
        return before.followed, after.followed, before.text == after.text

    def side(self, side: Side) -> Graded:
        """One of both."""
        return self.reference if side == "reference" else self.candidate


@lru_cache(maxsize=PROMPTS)
def _prompt_digest(messages: tuple[Message, ...], answer_prefix: str) -> str:
    return digest_of([[[each.role, each.content] for each in messages], answer_prefix])


def label_key(prompt: str, check: str, answer: str) -> str:
    """Digest of what a label is bound to, from the digests of prompt and check and from the answer's text."""
    return digest_of([prompt, check, answer])


def graded(case: Case, outcome: Outcome) -> Iterator[Graded]:
    """What each check said of the answer to each turn; nothing of turns without an answer."""
    turns = outcome.turns or (outcome,)
    texts = [turn.completion.text for turn in turns]
    for number, turn in enumerate(turns):
        if turn.completion.problem is not None:
            continue
        asked = case.turn_after(texts[:number])
        for place, result in enumerate(turn.results):
            yield Graded(asked, number + 1, place, turn.completion.text, result.followed)


def pairs_of(comparisons: Sequence[Comparison]) -> dict[str, list[Pair]]:
    """The answers that both sides gave, by the name of the check that graded them, in the cases' order."""
    found: defaultdict[str, list[Pair]] = defaultdict(list)
    for each, group in zip(comparisons, groups_of(comparisons), strict=True):
        after = {(one.turn, one.place): one for one in graded(each.case, each.candidate)}
        for before in graded(each.case, each.reference):
            other = after.get((before.turn, before.place))
            if other is not None:
                found[before.check.name].append(Pair(each.case.id, before, other, group))
    return dict(found)


@dataclass(frozen=True, slots=True)
class Rating:
    """One labelled answer that the check gave a verdict on.

    Attributes:
        followed: What the check says.
        label: What people say.
        weight: How many answers it stands for, above 0.
        group: What its case is drawn together with.
    """

    followed: bool
    label: bool
    weight: float
    group: Hashable


@dataclass(frozen=True, slots=True)
class Sample:
    """The labelled answers of one variant, for one check.

    Attributes:
        ratings: Those that the check gave a verdict on.
        unscored: How many of the labelled ones it gave none on: no disagreement, and counted apart.
        answers: All answers that it gave a verdict on, labelled or not.
        covered: Share of those whose stratum holds a label, so that one stands for them; None without an answer.
    """

    ratings: tuple[Rating, ...]
    unscored: int
    answers: int
    covered: float | None


def sample_of(pairs: Iterable[Pair], labels: Mapping[str, bool], side: Side) -> Sample:
    """The labelled answers of one side, each standing for the answers of its stratum.

    Args:
        pairs: What one check said, over one slice and candidate.
        labels: What people say of its answers, by key.
        side: Whose answers are meant.
    """
    strata: defaultdict[Stratum, list[tuple[Pair, bool | None]]] = defaultdict(list)
    unscored = 0
    for pair in pairs:
        one = pair.side(side)
        label = labels.get(one.key) if labels else None
        if one.followed is not None:
            strata[pair.stratum].append((pair, label))
        elif label is not None:
            unscored += 1
    ratings: list[Rating] = []
    covered = 0
    for members in strata.values():
        known = [(pair, label) for pair, label in members if label is not None]
        covered += len(members) if known else 0
        for pair, label in known:
            followed = pair.side(side).followed
            ratings.append(Rating(followed is True, label, len(members) / len(known), pair.group))
    answers = sum(map(len, strata.values()))
    return Sample(tuple(ratings), unscored, answers, covered / answers if answers else None)


def paired_samples(pairs: Iterable[Pair], labels: Mapping[str, bool]) -> tuple[tuple[Rating, ...], tuple[Rating, ...]]:
    """The cases whose answers are labelled and scored on both sides, in the same order, each for its stratum.

    Args:
        pairs: What one check said, over one slice and candidate.
        labels: What people say of its answers, by key.

    Returns:
        The ratings of the reference, and those of the candidate.
    """
    scored = [pair for pair in pairs if None not in pair.stratum[:2]]
    sizes: defaultdict[Stratum, int] = defaultdict(int)
    known: defaultdict[Stratum, list[tuple[Pair, bool, bool]]] = defaultdict(list)
    for pair in scored:
        sizes[pair.stratum] += 1
        before, after = labels.get(pair.reference.key), labels.get(pair.candidate.key)
        if before is not None and after is not None:
            known[pair.stratum].append((pair, before, after))
    first: list[Rating] = []
    second: list[Rating] = []
    for stratum, members in known.items():
        weight = sizes[stratum] / len(members)
        for pair, before, after in members:
            first.append(Rating(pair.reference.followed is True, before, weight, pair.group))
            second.append(Rating(pair.candidate.followed is True, after, weight, pair.group))
    return tuple(first), tuple(second)
