"""One case beside what it was anchored to, for whoever decides whether it is anchored anew."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from rich.text import Text

from pytest_quantgate.golden.entries import completions_of, outcome_of_entry
from pytest_quantgate.outcomes.difference import turns_of
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.plural import counted
from pytest_quantgate.report.difference import (
    ANSWER_LINES,
    answers_beside,
    changed_checks,
    excerpts,
    heading,
    parting,
    shortened,
    shown_answer,
    telling_turn,
)
from pytest_quantgate.report.text import draw, indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.checks.model import CheckResult
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.golden.model import Anchored, Entry, Standing

ANCHORED, NOW = "anchored", "now"


def change_text(
    name: str,
    standing: Standing,
    *,
    case: Case | None,
    entry: Entry | None,
    outcome: Outcome | None,
    width: int,
    color: bool,
) -> str:
    """What a person needs to judge one change: both answers where there are two, and what the checks say.

    Args:
        name: The case as messages name it: ``SLICE::CASE[SPEC]``.
        standing: How it stands to its golden.
        case: The case; None when the slice has it no more.
        entry: What is anchored of it; None for a new one.
        outcome: What the variant does now; None when nothing is known of it.
        width: Columns to fill, at least 40.
        color: Whether to colour with ANSI escapes.
    """
    title = f"{name}  {standing.state}: {standing.reason}"
    parts: list[RenderableType] = [Text(line, style="bold") for line in wrap(title, width)]
    if case is not None and entry is not None and outcome is not None:
        parts += beside_now(case, entry, outcome, width)
    elif case is not None and outcome is not None:
        parts += indented(shortened(case.prompt), width, first="prompt: ")
        parts += _one(NOW, outcome, [turn.completion for turn in outcome.turns], width)
    elif entry is not None:
        parts += _one(ANCHORED, outcome_of_entry(entry), completions_of(entry), width)
    return draw(parts, color=color)


def beside_now(
    case: Case, was: Entry | Anchored, outcome: Outcome, width: int, *, most: int = ANSWER_LINES
) -> Iterator[RenderableType]:
    """What was anchored of a case beside what its variant does now: where they part, and which checks changed.

    Args:
        case: The case.
        was: What was anchored; at least one answer.
        outcome: What the variant does now.
        width: Columns to fill, at least 40.
        most: Lines of each answer that are shown.
    """
    comparison = Comparison(case, _anchored(was, outcome), outcome)
    turns = turns_of(comparison)
    number = telling_turn(turns)
    prompt = case.later[number - 1].prompt if number else case.prompt
    yield from indented(shortened(prompt), width, first=f"turn {number + 1}: " if case.later else "prompt: ")
    yield ""
    yield from answers_beside(turns[number], ANCHORED, NOW, width, most=most)
    yield ""
    yield from indented(parting(turns[number], ANCHORED, NOW), width, rest="  ")
    for line in changed_checks(comparison):
        yield from indented(line, width, rest="  ")


def _one(whose: str, outcome: Outcome, turns: Sequence[Completion], width: int) -> Iterator[RenderableType]:
    """One side alone: every answer, and what the checks say of it."""
    for number, completion in enumerate(turns or (outcome.completion,), start=1):
        head = heading(whose, replace(outcome, completion=completion))
        yield from (Text(line, style="bold") for line in wrap(f"turn {number}, {head}" if turns[1:] else head, width))
        text, _ = excerpts(shown_answer(completion), "")
        lines = wrap(text, width - 2)
        yield from (f"  {line}" for line in lines[:ANSWER_LINES])
        if (rest := len(lines) - ANSWER_LINES) > 0:
            yield Text(f"  ... {counted(rest, 'more line')}", style="dim")
    for result in outcome.results:
        yield from indented(f"{result.word} {result.check}: {result.reason}", width, rest="  ")


def _anchored(entry: Entry | Anchored, now: Outcome) -> Outcome:
    """What was anchored; turn by turn where the checks of today tell which result belongs to which turn."""
    whole, completions = outcome_of_entry(entry), completions_of(entry)
    ends = [0, *accumulate(len(turn.results) for turn in now.turns)]
    if len(completions) != len(now.turns) or ends[-1] != len(entry.results):
        return whole
    pieces = [entry.results[start:end] for start, end in pairwise(ends)]
    return replace(whole, turns=tuple(map(_turn, completions, pieces)))


def _turn(completion: Completion, results: tuple[CheckResult, ...]) -> Outcome:
    unscored = next((each.reason for each in results if each.followed is None), None)
    passed = None if unscored is not None else all(each.followed for each in results)
    return Outcome(completion, results, passed, unscored)
