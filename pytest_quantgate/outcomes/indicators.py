"""Reference and candidate side by side as a service: refusals, retries, lengths, cut-off answers, loops."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean
from typing import TYPE_CHECKING, Final, Literal, get_args

from pytest_quantgate.cases.model import Case
from pytest_quantgate.cases.purposes import PARSERS, asks_for_refusal
from pytest_quantgate.checks.refusal import declining_words
from pytest_quantgate.outcomes.bootstrap import ratio_interval
from pytest_quantgate.outcomes.clusters import change_of, groups_of
from pytest_quantgate.outcomes.difference import turns_of
from pytest_quantgate.outcomes.health import cut_off, has_text, repeats_itself
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.outcomes.model import Outcome

if TYPE_CHECKING:
    from pytest_quantgate.outcomes.model import Comparison

Name = Literal["refusal_rate", "over_refusal_rate", "format_retry_rate", "length_ratio", "truncation_rate", "loop_rate"]

_NO_TOKENS = "answers were recorded without their tokens"
_NO_END = "answers were recorded without why they ended"


@dataclass(frozen=True, slots=True)
class Paired:
    """One indicator of every answer that both sides gave; of a case with later turns, of every turn.

    Attributes:
        first: The reference's values: 0 or 1, for ``length_ratio`` numbers of tokens.
        second: The candidate's, of the same answers in the same order.
        groups: What each answer is drawn together with: its case's cluster, or its case.
        undefined: Why there are no values; None when there are.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    groups: tuple[Hashable, ...]
    undefined: str | None = None


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator of reference and candidate.

    Attributes:
        name: ``refusal_rate``: share of answers that decline; ``over_refusal_rate``: the same where no check asks for
            a refusal; ``format_retry_rate``: share of the answers with a check that parses that violate it;
            ``length_ratio``: mean number of tokens; ``truncation_rate``: share cut off at the limit of tokens;
            ``loop_rate``: share cut off while they repeat themselves.
        cases: Answers that it rests on: one for each case, or turn, that both sides answered.
        reference: The reference's share, or mean number of tokens; None when undefined.
        candidate: The candidate's.
        change: Candidate less reference, with Newcombe's paired interval; of ``length_ratio`` candidate over
            reference, with a BCa interval. Where cases share clusters both allow for it.
    """

    name: Name
    cases: int
    reference: float | None
    candidate: float | None
    change: Estimate


def words(name: Name) -> str:
    """An indicator as people call it: ``over-refusal rate``."""
    what, _, last = name.rpartition("_")
    return f"{what.replace('_', '-')} {last}"


def compare(comparisons: Sequence[Comparison]) -> tuple[Indicator, ...]:
    """Every indicator over the answered cases of one slice and candidate, scored or not."""
    answered = list(_answered(comparisons))
    return tuple(_indicator(name, _paired(name, answered)) for name in get_args(Name))


def paired(name: Name, comparisons: Sequence[Comparison]) -> Paired:
    """The values that an indicator is the mean of, or the ratio of means."""
    return _paired(name, list(_answered(comparisons)))


def _paired(name: Name, answered: Sequence[tuple[Hashable, Comparison]]) -> Paired:
    measure = _MEASURES[name]
    if not answered:
        return Paired((), (), (), "no case was answered in text by both sides")
    first, second, groups = [], [], []
    for group, turn in answered:
        before, after = measure.value(turn.case, turn.reference), measure.value(turn.case, turn.candidate)
        if before is not None and after is not None:
            first.append(float(before))
            second.append(float(after))
            groups.append(group)
        elif measure.unknown:
            return Paired((), (), (), measure.unknown)
    return Paired(tuple(first), tuple(second), tuple(groups), None if first else measure.nothing)


def _indicator(name: Name, values: Paired) -> Indicator:
    if values.undefined is not None:
        return Indicator(name, 0, None, None, Estimate(None, undefined=values.undefined))
    change = _ratio(values) if name == "length_ratio" else change_of(values.first, values.second, values.groups, "")
    return Indicator(name, len(values.first), fmean(values.first), fmean(values.second), change)


def _ratio(values: Paired) -> Estimate:
    tokens = fsum(values.first)
    if not tokens:
        return Estimate(None, undefined="the reference's answers have no tokens")
    return Estimate(fsum(values.second) / tokens, ratio_interval(values.second, values.first, values.groups))


def _answered(comparisons: Sequence[Comparison]) -> Iterator[tuple[Hashable, Comparison]]:
    """Every turn that both sides answered in text, with what it is drawn together with."""
    for group, comparison in zip(groups_of(comparisons), comparisons, strict=True):
        for turn in turns_of(comparison):
            sides = (turn.reference.completion, turn.candidate.completion)
            if has_text(turn.case) and all(side.problem is None for side in sides):
                yield group, turn


@dataclass(frozen=True, slots=True)
class _Measure:
    """How one answer is measured.

    Attributes:
        value: Of a turn and its outcome; None where there is none.
        unknown: Why an answer without a value leaves the indicator undefined; None when it is just left out.
        nothing: Why every answer might be left out.
    """

    value: Callable[[Case, Outcome], float | None]
    unknown: str | None = None
    nothing: str | None = None


def _declines(_case: Case, outcome: Outcome) -> bool:
    return declining_words(outcome.completion.text) is not None


def _declines_needlessly(case: Case, outcome: Outcome) -> bool | None:
    return None if asks_for_refusal(case) else _declines(case, outcome)


def _fails_to_parse(_case: Case, outcome: Outcome) -> bool | None:
    """Whether a check that parses is violated; None without one, or where one could not be scored."""
    followed = [result.followed for result in outcome.results if result.check in PARSERS]
    return not all(followed) if followed and None not in followed else None


def _length(_case: Case, outcome: Outcome) -> int | None:
    return outcome.completion.length


def _cut_off(_case: Case, outcome: Outcome) -> bool | None:
    return cut_off(outcome.completion)


def _loops(_case: Case, outcome: Outcome) -> bool | None:
    return cut_off(outcome.completion) and repeats_itself(outcome.completion.text)


_MEASURES: Final[dict[Name, _Measure]] = {
    "refusal_rate": _Measure(_declines),
    "over_refusal_rate": _Measure(
        _declines_needlessly, nothing="every answered case has a check that asks for a refusal"
    ),
    "format_retry_rate": _Measure(_fails_to_parse, nothing="no answered case has a scored check that parses"),
    "length_ratio": _Measure(_length, unknown=_NO_TOKENS),
    "truncation_rate": _Measure(_cut_off, unknown=_NO_END),
    "loop_rate": _Measure(_loops, unknown=_NO_END),
}
