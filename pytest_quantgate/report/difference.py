"""One case, both answers side by side, and where they part."""

from __future__ import annotations

from itertools import zip_longest
from math import isfinite
from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from rich.text import Text

from pytest_quantgate.cases.model import full_name
from pytest_quantgate.outcomes.difference import first_difference, first_unequal, turns_of
from pytest_quantgate.outcomes.margins import NEAR_TIE
from pytest_quantgate.outcomes.model import Transition
from pytest_quantgate.plural import counted
from pytest_quantgate.report.text import draw, indented, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.outcomes.model import Comparison, Outcome

ANSWER_LINES = 16
"""Lines of each answer that are shown."""

LONGEST = 20_000
"""Characters of each answer that are broken into lines: a longer one is cut to the part where the answers part."""

CHARACTERS_BEFORE = 400
"""Characters kept before the place where the answers part, when such an answer is cut."""

LINES_BEFORE = 3
"""Lines kept before the one where the answers part, when the beginning is left out."""

PROMPT_CHARACTERS = 240
"""Characters of the prompt that are shown, half from its beginning and half from its end."""

TAIL_CHARACTERS = 30
"""Characters that both answers share and that are shown to tell where they part."""

SIDE_BY_SIDE = 70
"""Columns from which the answers stand side by side; below, one under the other."""

TRANSITION_WORDS = {
    Transition.PRESERVED: "PASS→PASS",
    Transition.FAILING: "FAIL→FAIL",
    Transition.DEGRADED: "PASS→FAIL",
    Transition.IMPROVED: "FAIL→PASS",
    Transition.UNSCORED: "unscored",
}


def side_by_side(
    case: Case,
    comparison: Comparison,
    candidate: str,
    *,
    slice_name: str,
    reference: str,
    width: int,
    color: bool,
) -> str:
    """What a person needs to judge how one case changed.

    Args:
        case: The case.
        comparison: Its outcomes on both sides.
        candidate: Spec of the candidate.
        slice_name: Name of the case's slice.
        reference: Spec of the reference.
        width: Columns to fill, at least 40.
        color: Whether to colour with ANSI escapes.
    """
    parts: list[RenderableType] = []
    title = f"{full_name(slice_name, case.id, candidate)}  {TRANSITION_WORDS[comparison.transition]}"
    parts += [Text(line, style="bold") for line in wrap(title, width)]
    turns = turns_of(comparison)
    number = telling_turn(turns)
    shown, prompt = turns[number], case.later[number - 1].prompt if number else case.prompt
    parts += indented(shortened(prompt), width, first=f"turn {number + 1}: " if len(turns) > 1 else "prompt: ")
    if case.answer_prefix:
        parts += indented(shortened(case.answer_prefix), width, first="answers begin with: ")
    parts += ["", *answers_beside(shown, reference, candidate, width), ""]
    parts += indented(parting(shown, reference, candidate), width, rest="  ")
    if len(turns) > 1:
        parts += indented(_history(turns, number), width, rest="  ")
    for line in changed_checks(comparison):
        parts += indented(line, width, rest="  ")
    return draw(parts, color=color)


def telling_turn(turns: Sequence[Comparison]) -> int:
    """Index of the turn to show: the first that moved, else the first with different answers, else the last."""
    moved = (Transition.DEGRADED, Transition.IMPROVED, Transition.UNSCORED)
    for number, turn in enumerate(turns):
        if turn.transition in moved:
            return number
    return next((number for number, turn in enumerate(turns) if _differs(turn)), len(turns) - 1)


def _differs(turn: Comparison) -> bool:
    before, after = turn.reference.completion, turn.candidate.completion
    return first_difference(before, after) is not None or before.text != after.text


def _history(turns: Sequence[Comparison], number: int) -> str:
    """Which of several turns is shown, and whether both sides were asked the same."""
    parted = next((index for index, turn in enumerate(turns[:number]) if _differs(turn)), None)
    place = f"This is turn {number + 1} of {len(turns)}"
    if not number:
        return f"{place}."
    if parted is None:
        return f"{place}; all answers before it are the same."
    return f"{place}; the answers part at turn {parted + 1} already, so each side was asked behind its own."


def shortened(prompt: str) -> str:
    """A prompt on one line, its beginning and its end."""
    flat = " ".join(prompt.split())
    if len(flat) <= PROMPT_CHARACTERS:
        return flat
    half = PROMPT_CHARACTERS // 2
    return f"{flat[:half]} [... {len(flat) - 2 * half} characters ...] {flat[-half:]}"


def answers_beside(
    comparison: Comparison, reference: str, candidate: str, width: int, *, most: int = ANSWER_LINES
) -> Iterator[RenderableType]:
    """Both answers of a turn in two columns, or one under the other where that is too narrow.

    Args:
        comparison: The turn.
        reference: Spec of the reference.
        candidate: Spec of the candidate.
        width: Columns to fill.
        most: Lines of each answer that are shown.
    """
    sides = ((reference, comparison.reference), (candidate, comparison.candidate))
    texts = excerpts(*(shown_answer(outcome.completion) for _, outcome in sides))
    if width < SIDE_BY_SIDE:
        for (spec, outcome), text in zip(sides, texts, strict=True):
            yield from (Text(line, style="bold") for line in wrap(heading(spec, outcome), width))
            yield from _window(wrap(text, width - 2), most, prefix="  ")
        return
    column = (width - 3) // 2
    left, right = (wrap(text, column) for text in texts)
    left_head, right_head = (wrap(heading(spec, outcome), column) for spec, outcome in sides)
    yield from (Text(row, style="bold") for row in _columns(left_head, right_head, column, parted=None))
    yield f"{'-' * column}-+-{'-' * column}"
    parted = first_unequal(left, right)
    yield from _window(_columns(left, right, column, parted=parted), most, parted=parted)


def excerpts(before: str, after: str, *, longest: int = LONGEST, ahead: int = CHARACTERS_BEFORE) -> tuple[str, str]:
    """Both answers; where one is very long, the same part of both, in which they part.

    Args:
        before: The reference's.
        after: The candidate's.
        longest: Characters that are shown of each.
        ahead: Characters kept before the place where they part.
    """
    if max(len(before), len(after)) <= longest:
        return before, after
    start = max(0, (first_unequal(before, after) or 0) - ahead)
    return _excerpt(before, start, longest), _excerpt(after, start, longest)


def _excerpt(text: str, start: int, longest: int) -> str:
    left_out = len(text) - start - longest
    return (
        (f"[... {start} characters ...]\n" if start else "")
        + text[start : start + longest]
        + (f"\n[... {left_out} characters ...]" if left_out > 0 else "")
    )


def _columns(left: Sequence[str], right: Sequence[str], column: int, *, parted: int | None) -> list[str]:
    """Rows of two columns, with a ``>`` between them where they part."""
    return [
        f"{set_cell_size(before, column)} {'>' if row == parted else '|'} {after}"
        for row, (before, after) in enumerate(zip_longest(left, right, fillvalue=""))
    ]


def _window(lines: Sequence[str], most: int, *, parted: int | None = None, prefix: str = "") -> Iterator[Text]:
    """At most so many lines, among them the one where the answers part."""
    start = 0
    if parted is not None and parted >= most:
        start = parted - LINES_BEFORE
        yield Text(f"{prefix}... {start} equal lines before", style="dim")
    for row, line in enumerate(lines[start : start + most], start):
        yield Text(prefix + line, style="yellow" if row == parted else "")
    if (rest := len(lines) - start - most) > 0:
        yield Text(f"{prefix}... {counted(rest, 'more line')}", style="dim")


def heading(spec: str, outcome: Outcome) -> str:
    """What stands above an answer: whose it is, whether it passes, and how long it is."""
    verdict = {True: "PASS", False: "FAIL", None: "unscored"}[outcome.passed]
    ends = {"length": ", cut at the token limit", "decided": ", stopped when decided"}
    cut = ends.get(outcome.completion.finish_reason, "")
    tokens = outcome.completion.length
    length = "" if tokens is None else f", {counted(tokens, 'token')}"
    return f"{spec}: {verdict}{length}{cut}"


def shown_answer(completion: Completion) -> str:
    """An answer, or in brackets what there is in its place."""
    if completion.problem is not None:
        return f"(no answer: {completion.problem})"
    if completion.text and not completion.text.strip():
        return f"(only white space: {completion.text!r})"
    return completion.text or "(empty answer)"


def parting(comparison: Comparison, reference: str, candidate: str) -> str:
    """One sentence: where the answers of a turn part, and how sure the reference was there."""
    before, after = comparison.reference.completion, comparison.candidate.completion
    if before.problem is not None or after.problem is not None:
        return "The answers cannot be compared."
    tail = before.text[: first_unequal(before.text, after.text)][-TAIL_CHARACTERS:]
    behind = f" after {tail!r}" if tail else ""
    if not (before.has_tokens and after.has_tokens):
        return "Both answers have the same text." if before.text == after.text else f"They part{behind or ' at once'}."
    index = first_difference(before, after)
    if index is None:
        return "Both answers have the same tokens."
    for spec, completion in ((reference, before), (candidate, after)):
        if index == len(completion.token_ids):
            return f"They part at token {index + 1}: {spec} stopped there."
    place = f"They part at token {index + 1}" + (f",{behind}" if behind else "")
    return f"{place}{_preference(before, index)}."


def _preference(reference: Completion, index: int) -> str:
    margin = reference.margins[index] if index < len(reference.margins) else None
    if margin is None or not isfinite(margin):
        return ""
    if margin < NEAR_TIE:
        return f": the reference preferred its token by {margin:.2f} nats, a near tie"
    return f": the reference preferred its token by {margin:.1f} nats"


def changed_checks(comparison: Comparison) -> Iterator[str]:
    """The checks that changed, one line each."""
    for before, after in zip(comparison.reference.results, comparison.candidate.results, strict=False):
        if after.followed is False and before.followed:
            yield f"broke {after.check}: {after.reason}"
        elif after.followed and before.followed is False:
            yield f"repaired {after.check}: {after.reason}"
        elif after.followed is None or before.followed is None:
            side = after if after.followed is None else before
            yield f"not scored {side.check}: {side.reason}"
