"""One diagnosis from beginning to end. Imports torch: import it only to look into models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.diagnosis.capture import Reading, Readings, capture
from pytest_quantgate.diagnosis.causal import causal_tests
from pytest_quantgate.diagnosis.classify import classify
from pytest_quantgate.diagnosis.entropy_steps import entropy_curves, entropy_steps
from pytest_quantgate.diagnosis.faults import fault_of
from pytest_quantgate.diagnosis.measure import measured
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Diagnosis, Repair, Sample
from pytest_quantgate.diagnosis.next_token import end_token, takes_target
from pytest_quantgate.diagnosis.pair import fit_together, refuse_others, with_loaded
from pytest_quantgate.diagnosis.points import Chosen, Point, points_of
from pytest_quantgate.diagnosis.probes.answers import measured_answers
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.search import search
from pytest_quantgate.diagnosis.sensitivity import early_first
from pytest_quantgate.diagnosis.stage import Stage
from pytest_quantgate.diagnosis.weights import unread
from pytest_quantgate.errors import ModelError, UsageError
from pytest_quantgate.generation.run import context_length, stops_of
from pytest_quantgate.outcomes.model import Comparison, Transition
from pytest_quantgate.plural import counted
from pytest_quantgate.variants.memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.diagnosis.protection import RepairLimits
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.variants.variant import LoadedModel, Variant

APART: Final = (
    "reference and candidate do not fit in memory together: causal tests and the search for a repair were left out"
)
NOT_AS_RECORDED: Final = "the models do not part there as recorded"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a repair is searched with.

    Attributes:
        limits: What it may take.
        registry: The checks by name.
    """

    limits: RepairLimits
    registry: CheckRegistry


def diagnose(
    slice_name: str,
    comparisons: Sequence[Comparison],
    reference: Variant,
    candidate: Variant,
    *,
    workshop: Workshop | None,
    progress: Progress,
) -> Diagnosis:
    """Find out why a slice broke on a candidate.

    Both variants are loaded, together where memory allows, else one after the other; what is read in them is kept on
    disk until both were read. A repair is searched for, and not verified.

    Args:
        slice_name: Name of the slice.
        comparisons: Its cases on both.
        reference: The trusted variant.
        candidate: The one that broke.
        workshop: What a repair is searched with; None for no search.
        progress: Told how far it has come.

    Raises:
        UsageError: No case degraded, none that did can be looked at, or the two cannot be laid on each other.
        ModelError: A model cannot be loaded, or its architecture not be read.
        QuantgateError: Anything else that the user can act on.
    """
    where = f"{slice_name} on {candidate.label}"
    refuse_others(reference, candidate)
    if not any(each.transition is Transition.DEGRADED for each in comparisons):
        hint = "a diagnosis looks at cases that the reference passes and the candidate fails"
        raise UsageError("no case degraded", where=where, hint=hint)
    with TemporaryDirectory(prefix="quantgate-") as folder, ExitStack() as kept:
        study = _Study(where, comparisons, Path(folder), kept, progress)
        try:
            if fit_together(reference, candidate):
                found = with_loaded(partial(study.together, workshop), reference, candidate, note=progress.note)
            else:
                progress.note(f"{where}: {APART}")
                with_loaded(study.look_first, reference, note=progress.note)
                with_loaded(study.look_next, candidate, note=progress.note)
                found = _Found(study.compared() + Measured(notes=(APART,)))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            hint = "free some memory, or diagnose a slice of shorter prompts"
            raise ModelError("memory ran out while the models were looked into", where=where, hint=hint) from error
    return Diagnosis(
        slice=slice_name,
        reference=str(reference.spec),
        candidate=str(candidate.spec),
        mode=found.mode,
        evidence=found.evidence,
        sample=study.sample,
        values=found.measured.values,
        curves=found.measured.curves,
        grids=found.measured.grids,
        repair=found.repair,
        notes=found.measured.notes,
    )


class _Found:
    """What a study came to.

    Args:
        measured: Everything that was measured.

    Attributes:
        mode: What it says.
        evidence: By which criteria.
        repair: What a search found; None where none was made.
    """

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.mode, self.evidence = classify(measured.values, measured.curves, measured.grids)
        self.repair: Repair | None = None


class _Study:
    """Looks into the two variants, in this order.

    Args:
        where: The slice and the candidate, for messages.
        comparisons: The slice's cases on both.
        folder: Where readings are kept.
        kept: Closes them.
        progress: Told how far it has come.

    Attributes:
        chosen: What was chosen to look at; empty until the reference is in memory.
        readings: The reference's, then the candidate's.
        taken: The cases in which the reference of today may take the target.
        points: What is looked at: fewer than was chosen when both were looked at.
        sample: The same for people.
    """

    def __init__(
        self, where: str, comparisons: Sequence[Comparison], folder: Path, kept: ExitStack, progress: Progress
    ) -> None:
        self._where, self._comparisons, self._folder = where, comparisons, folder
        self._kept, self._progress = kept, progress
        self.chosen = Chosen((), Sample((), ()), {}, frozenset())
        self._other: frozenset[str] = frozenset()
        self.readings: list[Readings] = []
        self.taken: frozenset[str] = frozenset()
        self._steps: dict[Literal["reference", "candidate"], dict[str, Tensor]] = {}
        self.points: tuple[Point, ...] = ()
        self.sample = Sample((), ())

    def look_first(self, reference: LoadedModel) -> None:
        """Choose what is looked at, and look at the reference."""
        runner = _runner(reference)
        self.chosen = _chooser(reference, runner)(self._comparisons)
        self.points, self.sample = self.chosen.points, self.chosen.sample
        self._refuse_nothing()
        self.taken = frozenset(each.case_id for each in self.points if each.degraded and takes_target(runner, each))
        self._look(runner, "reference")

    def look_next(self, candidate: LoadedModel) -> None:
        """Look at the candidate."""
        self._look(_runner(candidate), "candidate")

    def compared(self) -> Measured:
        """What follows from looking at both.

        Raises:
            UsageError: The layers of the two cannot be laid beside each other, or no degraded case is left.
        """
        before, after = self.readings
        self._refuse_other_layers(before, after)
        self._leave_out(_not_as_recorded(self.chosen, self.taken, before, after))
        self._refuse_nothing()
        found = measured(self.points, before, after) + measured_answers(self.points, self._comparisons)
        return sum((entropy_curves(self.points, steps, side) for side, steps in self._steps.items()), found)

    def together(self, workshop: Workshop | None, reference: LoadedModel, candidate: LoadedModel) -> _Found:
        """Everything, with both in memory."""
        self.look_first(reference)
        self.look_next(candidate)
        seen = self.compared()
        before, after = _runner(reference), _runner(candidate)
        causal = replace(self.chosen, points=self.points, sample=self.sample).causal
        tested = causal_tests(before, after, causal, self._told("causal tests", len(causal)))
        found = _Found(seen + tested)
        if workshop is not None:
            self._progress.note(f"{self._where}: {found.mode.value}; searching for a repair")
            try:
                found.repair = search(
                    reference,
                    candidate,
                    before,
                    after,
                    points=self.points,
                    comparisons=[each for each in self._comparisons if each.case.id not in self._other],
                    choose=_chooser(reference, before),
                    registry=workshop.registry,
                    mode=found.mode,
                    measured=tested,
                    limits=workshop.limits,
                    told=self._progress.note,
                )
                missing = unread(before, after, early_first(after.architecture))
                if found.repair.trials and missing is not None:
                    found.measured += Measured(notes=(missing,))
            except Exception as error:  # noqa: BLE001  (what was found out so far must not be lost to it)
                found.measured += Measured(notes=(f"the search for a repair broke off: {fault_of(error)}",))
        return found

    def _look(self, runner: Runner, side: Literal["reference", "candidate"]) -> None:
        told = self._told(f"activations of {runner.name}", len(self.points))
        self.readings.append(self._kept.enter_context(closing(capture(runner, self.points, self._folder, told))))
        told = self._told(f"answers of {runner.name}", len(self.points))
        self._steps[side] = entropy_steps(runner, self.chosen, side, told)

    def _told(self, what: str, cases: int) -> Stage:
        return Stage(self._progress, f"{self._where}: {what}", cases)

    def _leave_out(self, cases: Collection[str]) -> None:
        """Look no further at some of the degraded cases."""
        if not cases:
            return
        self._other = frozenset(cases)
        sample = self.sample
        self.points = tuple(each for each in self.points if each.case_id not in cases)
        self.sample = replace(
            sample,
            degraded=tuple(each for each in sample.degraded if each not in cases),
            causal=tuple(each for each in sample.causal if each not in cases),
            left_out={**sample.left_out, NOT_AS_RECORDED: len(cases)},
            tokens=sum(len(each.token_ids) for each in self.points),
        )

    def _refuse_other_layers(self, before: Readings, after: Readings) -> None:
        """Refuse two models whose activations cannot be laid on each other: pruned, or distilled."""
        first = self.points[0].case_id
        ours, theirs = (_shape(each[first]) for each in (before, after))
        if ours != theirs:
            raise UsageError(
                f"the reference has {ours}, the candidate {theirs}",
                where=self._where,
                hint="diagnose a candidate that has the reference's layers",
            )

    def _refuse_nothing(self) -> None:
        if self.sample.degraded:
            return
        reasons = "; ".join(f"{reason}: {count}" for reason, count in self.sample.left_out.items())
        raise UsageError(
            f"none of the degraded cases can be looked at: {reasons or 'no reason is known'}",
            where=self._where,
            hint="run the slice again with the models as they are here, and diagnose that run",
        )


def _shape(reading: Reading) -> str:
    """What must be the same for activations to be compared."""
    _, states, width = reading.residual.shape
    neurons, heads = reading.neurons.shape[-1], reading.attention.shape[2]
    return f"{counted(states - 1, 'layer')} of width {width} with {counted(heads, 'head')} and {neurons} neurons each"


def _chooser(reference: LoadedModel, runner: Runner) -> partial[Chosen]:
    """Chooses what to look at with the reference, as long as it is in memory: this keeps it there."""
    length = context_length(reference.model.config.get_text_config(decoder=True))
    ending = partial(end_token, runner, stops_of(reference))
    return partial(points_of, tokenizer=reference.tokenizer, context_length=length, ending=ending)


def _runner(loaded: LoadedModel) -> Runner:
    return Runner(loaded.model, kv=loaded.variant.spec.kv, name=loaded.variant.label)


def _not_as_recorded(
    chosen: Chosen, taken: Collection[str], before: Mapping[str, Reading], after: Mapping[str, Reading]
) -> set[str]:
    """Degraded cases in which today's models do not part as recorded: another machine, another release.

    There no token has a greater logit than the reference's with the reference (``taken``), and one has as great a one
    with the candidate. A recalled text need not rank first with anybody, and of a reading with numbers that are none
    nothing is said.
    """
    found = set()
    for point in chosen.points:
        if not point.degraded or point.case_id in chosen.recalled:
            continue
        ranks = [readings[point.case_id].target_rank for readings in (before, after)]
        if not any(isnan(rank) for rank in ranks) and not (point.case_id in taken and ranks[1] > 1):
            found.add(point.case_id)
    return found
