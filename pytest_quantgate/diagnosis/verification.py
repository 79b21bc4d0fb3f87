"""A repair on trial: loaded afresh, it answers the whole slice, and the slice's own gate judges it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pytest_quantgate.diagnosis.faults import fault_of
from pytest_quantgate.diagnosis.protection import file_of, write_mix
from pytest_quantgate.gate.controls import with_controls
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, GateResult, Verdict
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.run import Answers, answer
from pytest_quantgate.generation.turns import answered, next_requests
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison, Transition

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.diagnosis.model import Repair, Trial
    from pytest_quantgate.generation.cache import CompletionCache
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.variant import Variant


_LEGIBLE: Final = 100  # characters of a spec that people read


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
    worth: Sequence[Trial],
    court: Court,
    *,
    folder: Path,
    prepare: Callable[[str], Variant],
    cache: CompletionCache,
    progress: Progress,
) -> Repair:
    """Recommend the smallest repair whose gate passes, the one of fewest bits; where none does, none.

    A mix that is too long for a spec is a file meanwhile, and stays one when it is recommended.

    Args:
        repair: What the search came to.
        worth: The trials that are worth a verdict.
        court: Judges.
        folder: Where such files go, made when missing.
        prepare: Gives the variant of a spec, not loaded.
        cache: Where answers are looked up and kept.
        progress: Told how far it has come.

    Returns:
        The same search with everything that was verified among its trials, one of them chosen or none, and the reason.
    """
    trials = list(repair.trials)
    told, most = repair.reason, None
    for trial in sorted(worth, key=lambda each: each.bits):
        progress.note(f"verifying a repair by the gate of {court.gate.slice}")
        try:
            with _Filed(trial.spec, folder) as filed:
                found, result, loaded = _tried(trial, prepare(filed.spec), court, cache, progress)
                filed.stays |= result.verdict is Verdict.PASS
        except Exception as error:  # noqa: BLE001  (a diagnosis must not be lost to what its repair runs into)
            if most is None:
                told = f"{_name(trial)} cannot be verified: {fault_of(error)}"
            continue
        verdict = f"its gate is {result.verdict.value}: {result.reasons[0]}"
        if result.verdict is Verdict.PASS:
            chosen = replace(found, spec=filed.spec)
            return replace(
                repair,
                trials=(*trials, chosen),
                chosen=chosen,
                verdicts={court.gate.slice: result.verdict},
                reason=f"{'loaded afresh' if loaded else 'answered before'}, {verdict}",
            )
        trials.append(found)
        if most is None or found.net > most.net:
            most, told = found, f"{_counts(found)}, and {verdict}"
    return replace(repair, trials=tuple(trials), chosen=None, verdicts={}, reason=told)


class _Filed:
    """A protection by a spec that is not too long, its file written to be tried and taken back unless it stays.

    Args:
        spec: Of a trial.
        folder: Where a file goes.

    Attributes:
        spec: The same or shorter.
        stays: Whether the file stays: from the beginning where an earlier diagnosis may have recommended it.
    """

    def __init__(self, spec: str, folder: Path) -> None:
        self._mix = spec
        self.spec, self._file = file_of(spec, folder)
        self.stays = self._file is None or self._file.exists()

    def __enter__(self) -> Self:
        if self._file is not None:
            write_mix(self._mix, self._file)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and not self.stays:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
                self._file.parent.rmdir()  # which fails where anything else is in it


def _tried(
    trial: Trial, variant: Variant, court: Court, cache: CompletionCache, progress: Progress
) -> tuple[Trial, GateResult, bool]:
    """A trial as it stands before the gate, what the gate says, and whether the variant was loaded for it."""
    before = court.gate.comparisons
    after, answers = _answered(before, variant, court.registry, cache, progress)
    audit = answers.audit
    pairs = [(old.transition, new.transition) for old, new in zip(before, after, strict=True)]
    degraded = [new for old, new in pairs if old is Transition.DEGRADED]
    preserved = [new for old, new in pairs if old is Transition.PRESERVED]
    found = replace(
        trial,
        memory_bytes=trial.memory_bytes if audit is None else audit.memory_bytes,
        turned_back=degraded.count(Transition.PRESERVED),
        degraded=len(degraded),
        lost=len(preserved) - preserved.count(Transition.PRESERVED),  # also one without a score, as when it is decoded
        preserved=len(preserved),
        stage="verified",
    )
    return found, court.verdict(trial.spec, after), answers.generated > 0


def _answered(
    comparisons: Sequence[Comparison],
    variant: Variant,
    registry: CheckRegistry,
    cache: CompletionCache,
    progress: Progress,
) -> tuple[list[Comparison], Answers]:
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
    return [replace(each, candidate=outcome) for each, outcome in zip(comparisons, graded, strict=True)], found


def _counts(trial: Trial) -> str:
    return (
        f"{_name(trial)} turns {trial.turned_back} of {trial.degraded} degraded cases back and loses {trial.lost} of "
        f"{trial.preserved} preserved ones"
    )


def _name(trial: Trial) -> str:
    return trial.spec if len(trial.spec) <= _LEGIBLE else f"a variant of {len(trial.kept)} kept parts ({trial.way})"
