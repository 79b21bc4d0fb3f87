"""Where a case is looked at: the token at which the candidate parts from the reference; no torch."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.diagnosis.model import Sample
from pytest_quantgate.diagnosis.parting import END, NO_END, Spot, where_it_broke, where_least_sure
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.outcomes.model import Comparison, Transition

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pytest_quantgate.cases.model import Case

CASES: Final = 40
"""Most cases that are looked at, contrast included: a diagnosis is to take minutes on two cores."""

TOKENS: Final = 8_000
"""Most tokens of all of them together, each up to where it is looked at."""

CAUSAL_CASES: Final = 12
"""Most cases that causal tests are made on."""

CAUSAL_TOKENS: Final = 1_200
"""Most tokens of those together, but for the first: each takes as many passes as a model has layers, and more."""

FOLLOWING: Final = 4
"""Tokens behind the first that a case must go on with as the reference does, to count as turned back."""

NO_ROOM: Final = "its prompt does not fit the model's context"
NOT_RENDERED: Final = "its prompt cannot be rendered"
OTHER_PROMPT: Final = "its prompt is other tokens than in the run"
OTHER_TOKENS: Final = "its answers hold tokens that the tokenizer does not know"


@dataclass(frozen=True, slots=True)
class Point:
    """One case at the place where its answers part.

    Of a preserved case, whose answers may be the same, it is the place where the reference was least sure.

    Attributes:
        case_id: Of the case.
        degraded: Whether the case broke; else it is there as contrast.
        token_ids: The prompt as the model sees it, and the answer as far as both variants gave the same; at least one.
        target: The reference's next token; the text's, of a case that is looked at in a text that it should recall.
        rival: The candidate's next token; None where it is the same, or is not known.
        following: The reference's tokens behind ``target``.
        prompt_tokens: How many of ``token_ids`` are the prompt.
        subject: Position of the last token of the case's subject; None where the case marks none.
        own: How the candidate itself goes on here, where its answer is another one that passes too; empty where it
            does not, or nobody knows.
    """

    case_id: str
    degraded: bool
    token_ids: tuple[int, ...]
    target: int
    rival: int | None
    following: tuple[int, ...]
    prompt_tokens: int
    subject: int | None = None
    own: tuple[int, ...] = ()

    @property
    def place(self) -> tuple[str, tuple[int, ...], int]:
        """What no two points of one reference have in common."""
        return self.case_id, self.token_ids, self.target


@dataclass(frozen=True, slots=True)
class Answers:
    """What both variants answered in the turn that is looked at, as tokens; without the token that ends an answer.

    Attributes:
        reference: The reference's.
        candidate: The candidate's.
    """

    reference: tuple[int, ...]
    candidate: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The cases that a diagnosis looks at.

    Attributes:
        points: Those that broke, shortest first, then their contrast; empty when there is none that can be looked at.
        sample: Their ids, and why others were left out; for causal tests the shortest degraded ones.
        answers: By case id.
        recalled: Ids of the points that stand in a text that a ``recall`` check names, and not in the answers.
    """

    points: tuple[Point, ...]
    sample: Sample
    answers: Mapping[str, Answers]
    recalled: frozenset[str]

    @property
    def causal(self) -> tuple[Point, ...]:
        """The points that causal tests are made on."""
        wanted = frozenset(self.sample.causal)
        return tuple(point for point in self.points if point.case_id in wanted)


def points_of(
    comparisons: Sequence[Comparison],
    tokenizer: PreTrainedTokenizerBase,
    context_length: int,
    ending: Callable[[Sequence[int]], int | None],
    *,
    limit_cases: int = CASES,
    limit_tokens: int = TOKENS,
) -> Chosen:
    """Choose what to look at: degraded cases, shortest first, and for each the preserved one of the nearest length.

    Args:
        comparisons: All cases of one slice and candidate.
        tokenizer: Of the model that answered.
        context_length: Most positions that it can attend to.
        ending: Given the tokens before the end of an answer, the token that ended it; None where nobody knows.
        limit_cases: Most points, contrast included.
        limit_tokens: Most tokens of all points together.

    Returns:
        The points; a degraded case that is not among them is counted in the sample with the reason.
    """
    reader = _Reader(tokenizer, context_length, ending)
    left_out: Counter[str] = Counter()
    broken: list[Spot] = []
    for each in comparisons:
        if each.transition is Transition.DEGRADED:
            found = where_it_broke(each)
            if isinstance(found, Spot):
                broken.append(found)
            else:
                left_out[found] += 1
    contrast = _Contrast(comparisons, reader)
    degraded: list[tuple[Spot, Point]] = []
    preserved: list[tuple[Spot, Point]] = []
    tokens = 0
    for spot in sorted(broken, key=lambda each: each.tokens):
        if len(degraded) + len(preserved) >= limit_cases:
            left_out[f"over the limit of {limit_cases:,} cases"] += 1
            continue
        if tokens + spot.tokens > limit_tokens:
            left_out[f"over the limit of {limit_tokens:,} tokens"] += 1
            continue
        point = reader.point(spot, degraded=True)
        if isinstance(point, str):
            left_out[point] += 1
            continue
        degraded.append((spot, point))
        tokens += spot.tokens
        other = contrast.nearest(spot, limit_tokens - tokens)
        if other is not None and len(degraded) + len(preserved) < limit_cases:
            preserved.append(other)
            tokens += other[0].tokens
    chosen = [*degraded, *preserved]
    return Chosen(
        points=tuple(point for _, point in chosen),
        sample=Sample(
            degraded=tuple(point.case_id for _, point in degraded),
            preserved=tuple(point.case_id for _, point in preserved),
            left_out=dict(left_out),
            causal=tuple(_causal([point for _, point in degraded])),
            tokens=tokens,
        ),
        answers={point.case_id: _answers(spot) for spot, point in chosen},
        recalled=frozenset(point.case_id for spot, point in chosen if spot.recalled),
    )


class _Contrast:
    """Preserved cases, to be had one after the other, each once.

    Args:
        comparisons: All cases.
        reader: Reads the prompts of those that are taken.
    """

    def __init__(self, comparisons: Iterable[Comparison], reader: _Reader) -> None:
        preserved = (each for each in comparisons if each.transition is Transition.PRESERVED)
        found = map(where_least_sure, preserved)
        self._left = [spot for spot in found if isinstance(spot, Spot)]
        self._reader = reader

    def nearest(self, spot: Spot, room: int) -> tuple[Spot, Point] | None:
        """The one whose prompt is nearest in length, the first of equal ones; None when none is left.

        Args:
            spot: What it is the contrast of.
            room: Most tokens that it may have.
        """
        while fitting := [each for each in self._left if each.tokens <= room]:
            best = min(fitting, key=lambda each: abs(each.prompt_tokens - spot.prompt_tokens))
            self._left = [each for each in self._left if each is not best]
            point = self._reader.point(best, degraded=False)
            if isinstance(point, Point):
                return best, point
        return None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads prompts as the model does."""

    tokenizer: PreTrainedTokenizerBase
    context_length: int
    ending: Callable[[Sequence[int]], int | None]

    def point(self, spot: Spot, *, degraded: bool) -> Point | str:
        """A place in the answers with everything before it as tokens; or why it cannot be looked at."""
        case, answers = spot.turn.case, _answers(spot)
        request = Request(case.messages, case.max_new_tokens, case.answer_prefix)
        prompts, refused = tokenize(self.tokenizer, [request], self.context_length)
        if not prompts:
            return NO_ROOM if refused[request.digest].finish_reason == "context" else NOT_RENDERED
        prompt = prompts[0].token_ids
        if {spot.prompt_tokens, spot.turn.candidate.completion.prompt_tokens} != {len(prompt)}:
            return OTHER_PROMPT
        named = spot.target if spot.recalled or spot.target != END else 0
        behind = (*answers.reference, *answers.candidate, *spot.shared, named, *spot.following)
        if not all(0 <= token < len(self.tokenizer) for token in behind):
            return OTHER_TOKENS
        if len(prompt) + max(map(len, (answers.reference, answers.candidate, spot.shared))) > self.context_length:
            return NO_ROOM
        tokens = (*prompt, *spot.shared)
        end = self.ending(tokens) if END in {spot.target, spot.rival} else None
        target, rival = (end if token == END else token for token in (spot.target, spot.rival))
        if target is None:
            return NO_END
        return Point(
            case_id=case.id,
            degraded=degraded,
            token_ids=tokens,
            target=target,
            rival=None if rival == target else rival,
            following=spot.following,
            prompt_tokens=len(prompt),
            subject=_subject_of(case, prompt, self.tokenizer),
        )


def _causal(degraded: Sequence[Point]) -> Iterator[str]:
    """Ids of the first degraded cases, which are the shortest, within the limits."""
    tokens = 0
    for point in degraded[:CAUSAL_CASES]:
        tokens += len(point.token_ids)
        if tokens > max(CAUSAL_TOKENS, len(degraded[0].token_ids)):
            break
        yield point.case_id


def _answers(spot: Spot) -> Answers:
    return Answers(spot.turn.reference.completion.token_ids, spot.turn.candidate.completion.token_ids)


def _subject_of(case: Case, prompt: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Position of the last token of a case's subject, where it stands last; None when it cannot be found."""
    begun = _until(case.subject, case.answer_prefix) or _until(case.subject, case.prompt)
    if not begun:
        return None

    def times(tokens: int) -> int:
        shown = tokenizer.decode(list(prompt[:tokens]), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return str(shown).count(begun)

    # by what the tokens say, since few tokenizers tell where in a text they stand; more tokens never say less
    complete = times(len(prompt))
    return bisect_left(range(len(prompt)), complete, key=lambda at: times(at + 1)) if complete else None


def _until(subject: str, text: str) -> str:
    """A text up to the end of its subject's last mention, as a whole word if it can be; empty when there is none."""
    if not subject or subject not in text:
        return ""
    words = [found.end() for found in re.finditer(rf"(?<!\w){re.escape(subject)}(?!\w)", text)]
    end = words[-1] if words else text.rindex(subject) + len(subject)
    return text[:end].lstrip()  # templates may trim what they are given
