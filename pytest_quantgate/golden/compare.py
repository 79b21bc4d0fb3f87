"""How what a variant does now stands to its golden: by behaviour, not by wording."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantgate.checks.recall import NAME as RECALL
from pytest_quantgate.gate.drift import DriftInput, has_drifted
from pytest_quantgate.golden.entries import digests, outcome_of_entry
from pytest_quantgate.golden.model import Anchored, Standing
from pytest_quantgate.outcomes.model import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.golden.model import Entry, Golden
    from pytest_quantgate.outcomes.model import Outcome

NO_ANSWER = "it has no answer in this run"


def stand(golden: Golden | None, cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> tuple[Standing, ...]:
    """How each case stands to the golden of its slice and variant.

    Args:
        golden: The golden; None when there is none.
        cases: All cases of the slice, selected or not: what is anchored and not among them is ``unused``.
        outcomes: What the variant does now, by case id. A case without one is ``new`` or ``expired`` where that can
            be said, else ``unscored``.

    Returns:
        One for each case in order, then the unused ones by id.
    """
    entries = {} if golden is None else golden.entries
    found = [standing(case, entries.get(case.id), outcomes.get(case.id)) for case in cases]
    unused = sorted(entries.keys() - {case.id for case in cases})
    return (*found, *(Standing(case_id, "unused", "the slice has no such case any more") for case_id in unused))


def standing(case: Case, entry: Entry | None, outcome: Outcome | None) -> Standing:
    """How one case stands to what is anchored of it; ``unused`` cannot be found here.

    Args:
        case: The case as it is now.
        entry: What is anchored of it; None when nothing is.
        outcome: What the variant does now; None when it gave no answer.
    """
    if entry is None:
        return Standing(case.id, "new", "it is not anchored")
    prompt, checks = digests(case)
    changed = [
        what
        for what, before, now in (("what it asks", entry.prompt, prompt), ("its checks", entry.checks, checks))
        if before != now
    ]
    if changed:
        return Standing(case.id, "expired", f"{' and '.join(changed)} changed since it was anchored")
    anchored = outcome_of_entry(entry)
    unscored = _why_unscored(anchored, outcome)
    if outcome is None or unscored is not None:
        return Standing(case.id, "unscored", unscored or NO_ANSWER)
    same_text = [each.text for each in _completions(outcome)] == [answer.text for answer in entry.answers]
    if has_drifted(anchored, outcome):
        was = Anchored(entry.results, tuple(replace(answer, recall=()) for answer in entry.answers))
        return Standing(case.id, "drifted", _drift(entry, outcome, same_text=same_text), was)
    return Standing(case.id, "same") if same_text else Standing(case.id, "reworded", "another answer, the same results")


def drift_of(
    golden: Golden,
    standings: Sequence[Standing],
    cases: Sequence[Case],
    outcomes: Mapping[str, Outcome],
    *,
    policy: GatePolicy,
    total: int,
    problem: str | None = None,
) -> DriftInput:
    """What the drift gate of a golden is judged by (`gate.drift.judge_drift`).

    Args:
        golden: The golden.
        standings: How the cases stand to it, as ``stand`` says.
        cases: The selected cases of the slice.
        outcomes: What the variant does now, by case id.
        policy: The limits of the slice.
        total: Cases of the slice.
        problem: What kept the variant from answering; None when nothing did.
    """
    states = {each.case_id: each.state for each in standings}
    still = [case for case in cases if case.id in golden.entries and states[case.id] != "expired"]
    comparisons = [
        Comparison(case, outcome_of_entry(golden.entries[case.id]), outcomes[case.id])
        for case in still
        if case.id in outcomes
    ]
    return DriftInput(
        slice=golden.slice,
        variant=golden.variant,
        comparisons=comparisons,
        policy=policy,
        expired=sum(states[case.id] == "expired" for case in cases),
        missing=len(still) - len(comparisons),
        selected=len(cases),
        total=total,
        problem=problem,
    )


def _why_unscored(anchored: Outcome, outcome: Outcome | None) -> str | None:
    """Why nobody can tell whether a case drifted; None when somebody can."""
    if outcome is None:
        return NO_ANSWER
    if outcome.passed is None:
        return outcome.unscored or "it could not be graded"
    if anchored.passed is None:
        return f"it could not be graded when it was anchored: {anchored.unscored}"
    return None


def _completions(outcome: Outcome) -> list[Completion]:
    """One for each turn."""
    return [turn.completion for turn in outcome.turns] or [outcome.completion]


def _drift(entry: Entry, outcome: Outcome, *, same_text: bool) -> str:
    """Which checks say something else; and whether that is because the grading changed, not the model."""
    pairs = list(zip(entry.results, outcome.results, strict=False))
    changed = [(before, now) for before, now in pairs if (before.check, before.followed) != (now.check, now.followed)]
    told = "; ".join(f"{now.check} was {before.word}, is {now.word}" for before, now in changed)
    told = told or f"{len(entry.results)} results were anchored, {len(outcome.results)} are there now"
    ended = [each.finish_reason for each in _completions(outcome)]
    ended_alike = ended == [each.finish_reason for each in entry.answers]
    if same_text and ended_alike and any(now.check != RECALL for _, now in changed):
        return f"the grading changed, not the model: the answer is the same, and {told}"
    return told
