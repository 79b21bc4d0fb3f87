"""A repair on trial: loaded afresh, it answers the whole slice, and the slice's own gate judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.gate.controls import with_controls
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, GateResult, Verdict
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.turns import answered, next_requests
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison, Transition

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.diagnosis.model import Repair, Trial
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.audit import Audit
    from pytest_quantgate.variants.variant import Variant


@dataclass(frozen=True, slots=True)
class Court:
    """What judged the broken candidate, and judges what is to replace it.

    Attributes:
        gates: The gates of all candidates of the run, as they went to the judge: under the rule ``evidence`` how sure
            each must be depends on how many there are.
        place: Which of them is the broken candidate's.
        controls: What the controls of its slice said.
        alpha: Family-wise error, each way.
        registry: The checks by name.
    """

    gates: Sequence[GateInput]
    place: int
    controls: Sequence[GateResult]
    alpha: float
    registry: CheckRegistry

    @property
    def gate(self) -> GateInput:
        """The broken candidate's."""
        return self.gates[self.place]

    def verdict(self, spec: str, comparisons: Sequence[Comparison]) -> GateResult:
        """The gate of another candidate in the broken one's place; its looks are its own, and this is the first."""
        mine = replace(self.gate, candidate=spec, comparisons=comparisons, share=1.0, earlier=())
        gates = [mine if place == self.place else each for place, each in enumerate(self.gates)]
        result = judge(gates, alpha=self.alpha, resample=False)[self.place]
        return with_controls([result, *self.controls])[0]


def verify(
    repair: Repair,
    ranked: Sequence[Trial],
    court: Court,
    *,
    prepare: Callable[[str], Variant],
    cache: CompletionCache,
    progress: Progress,
) -> Repair:
    """Recommend the best repair whose gate passes; where none does, none.

    Args:
        repair: What the search came to.
        ranked: The trials that are worth a verdict, best first.
        court: Judges.
        prepare: Gives the variant of a spec, not loaded.
        cache: Where answers are looked up and kept.
        progress: Told how far it has come.

    Returns:
        The same search with everything that was verified among its trials, one of them chosen or none, and the reason.
    """
    trials = list(repair.trials)
    told = repair.reason
    for trial in ranked:
        progress.note(f"loading a repair afresh for the gate of {court.gate.slice}")
        try:
            found, result = _tried(trial, prepare(trial.spec), court, cache, progress)
        except QuantgateError as error:
            told = f"{trial.spec} cannot be loaded afresh: {error.what}"
            continue
        trials.append(found)
        verdict = f"its gate is {result.verdict.value}: {result.reasons[0]}"
        told = f"{_counts(found)}, and {verdict}"
        if result.verdict is Verdict.PASS:
            return replace(
                repair,
                trials=tuple(trials),
                chosen=found,
                verdicts={court.gate.slice: result.verdict},
                reason=f"loaded afresh, {verdict}",
            )
    reason = f"nothing is recommended: {told}" if ranked else told
    return replace(repair, trials=tuple(trials), chosen=None, verdicts={}, reason=reason)


def _tried(
    trial: Trial, variant: Variant, court: Court, cache: CompletionCache, progress: Progress
) -> tuple[Trial, GateResult]:
    """A trial as it stands before the gate, and what the gate says."""
    before = court.gate.comparisons
    after, audit = _answered(before, variant, court.registry, cache, progress)
    pairs = [(old.transition, new.transition) for old, new in zip(before, after, strict=True)]
    degraded = [new for old, new in pairs if old is Transition.DEGRADED]
    preserved = [new for old, new in pairs if old is Transition.PRESERVED]
    found = replace(
        trial,
        memory_bytes=trial.memory_bytes if audit is None else audit.memory_bytes,
        turned_back=degraded.count(Transition.PRESERVED),
        degraded=len(degraded),
        lost=preserved.count(Transition.DEGRADED),
        preserved=len(preserved),
        stage="verified",
    )
    return found, court.verdict(trial.spec, after)


def _answered(
    comparisons: Sequence[Comparison],
    variant: Variant,
    registry: CheckRegistry,
    cache: CompletionCache,
    progress: Progress,
) -> tuple[list[Comparison], Audit | None]:
    """The same cases with what another variant answers in place of the candidate."""
    cases = [each.case for each in comparisons]
    in_turns = [case for case in cases if case.later]
    found = answer(
        variant,
        [Request.of(case) for case in cases],
        cache,
        progress,
        lambda completions: next_requests(in_turns, completions),
    )
    graded = [outcome_of_turns(case, answered(case, found.completions), registry) for case in cases]
    return [replace(each, candidate=outcome) for each, outcome in zip(comparisons, graded, strict=True)], found.audit


def _counts(trial: Trial) -> str:
    return (
        f"{trial.spec} turns {trial.turned_back} of {trial.degraded} degraded cases back and loses {trial.lost} of "
        f"{trial.preserved} preserved ones"
    )
