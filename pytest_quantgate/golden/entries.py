"""From a graded answer to what is anchored of it, and back."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.checks.model import Recall
from pytest_quantgate.checks.recall import asked_of
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.golden.model import AnchoredAnswer, Entry
from pytest_quantgate.outcomes.model import Outcome

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.golden.model import Anchor, Anchored
    from pytest_quantgate.outcomes.model import Transition


def digests(case: Case) -> tuple[str, str]:
    """What an anchor of a case is bound to: it expires when either changes.

    Returns:
        Digest of everything that is asked, later turns included, and digest of the checks with their arguments.
    """
    asked = Request.of(case).digest
    if case.later:
        later = [[turn.prompt, turn.max_new_tokens, asked_of(turn.checks)] for turn in case.later]
        asked = digest_of([asked, later])
    turns = [case.checks, *(turn.checks for turn in case.later)]
    checks = [[spec.canonical() for spec in specs] for specs in turns]
    return asked, digest_of(checks)


def entry_of(
    case: Case, outcome: Outcome, *, transition: Transition | None, anchor: Anchor, accepted: str | None = None
) -> Entry:
    """What is anchored of one case.

    Args:
        case: The case as it is now.
        outcome: What the variant answered, graded.
        transition: How it moved from the reference; None for the reference itself.
        anchor: When, by whom and from which run.
        accepted: Why it is anchored although it is degraded; None for all others.
    """
    prompt, checks = digests(case)
    completions = [turn.completion for turn in outcome.turns] or [outcome.completion]
    return Entry(
        id=case.id,
        prompt=prompt,
        checks=checks,
        results=outcome.results,
        answers=tuple(
            AnchoredAnswer(each.text, each.finish_reason, each.length, tuple(map(_writable, each.recall)))
            for each in completions
        ),
        transition=None if transition is None else transition.value,
        anchor=anchor,
        accepted=accepted,
    )


def completions_of(entry: Entry | Anchored) -> tuple[Completion, ...]:
    """The anchored answers as completions, one for each turn: without tokens, whose number is kept in ``counted``."""
    return tuple(
        Completion(
            text=answer.text,
            token_ids=(),
            finish_reason=answer.finish_reason,
            prompt_tokens=0,
            recall=answer.recall,
            counted=answer.tokens,
        )
        for answer in entry.answers
    )


def outcome_of_entry(entry: Entry | Anchored) -> Outcome:
    """What was anchored as a graded answer, as it was graded then; the turns of a case are not told apart."""
    unscored = next((f"{each.check}: {each.reason}" for each in entry.results if each.followed is None), None)
    passed = None if unscored is not None else all(each.followed for each in entry.results)
    return Outcome(completions_of(entry)[0], entry.results, passed, unscored)


def _writable(recall: Recall) -> Recall:
    """JSON has no word for infinity: what is infinitely improbable counts as not measured."""
    if all(map(isfinite, recall.log_probabilities)):
        return recall
    return Recall(recall.text, problem="its log-probability is not a finite number")
