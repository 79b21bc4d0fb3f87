"""`quantgate diagnose`: why gates of a run failed, looked for in the models themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.broken import (
    broken_gates,
    record_of,
    refuse_stopped,
    refuse_unseen,
    unexplained,
    variant_of,
)
from pytest_quantgate.commands.report import cleared, page_of
from pytest_quantgate.diagnosis.faults import fault_of, without_frames
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.errors import QuantgateError, UsageError
from pytest_quantgate.gate.model import GateInput
from pytest_quantgate.golden.identity import identity_changes
from pytest_quantgate.report import store
from pytest_quantgate.report.place import folder_of, seen_from

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings
    from pytest_quantgate.diagnosis.model import Diagnosis, Repair
    from pytest_quantgate.diagnosis.verification import Court
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.generation.progress import Progress
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.variants.variant import Variant

REPAIRS: Final = Path("quant-repairs")
"""Where a repair is written that is too long for a spec; seen from the working folder, as its spec is."""

MOST_VERIFIED: Final = 3
"""Repairs that are loaded afresh, the best first, until one passes."""

MOST_BITS: Final = 16
MOST_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be diagnosed, and what is to be written.

    Attributes:
        file: The stored run.
        slice: Name of the only slice; None for all.
        candidate: Spec of the only candidate; None for all.
        limits: Of a repair; None where none is wanted.
        grading: What checks may do.
        json: Where the run is written with its diagnoses; None for nowhere.
        html: Where it is written as HTML; None for nowhere.
    """

    file: Path
    slice: str | None
    candidate: str | None
    limits: RepairLimits | None
    grading: GradingSettings
    json: Path | None
    html: Path | None


@dataclass(frozen=True, slots=True)
class Means:
    """What a diagnosis is made with.

    Attributes:
        registry: The checks by name.
        limits: Of a repair; None for no search.
        progress: Told how far it has come.
    """

    registry: CheckRegistry
    limits: RepairLimits | None
    progress: Progress


def limits_of(max_bits: float, minutes: float) -> RepairLimits:
    """What a repair may take.

    Raises:
        UsageError: No repair could be found within it.
    """
    for option, value, most, hint in (
        ("--max-bits", max_bits, MOST_BITS, "give mean bits of a weight, above 0 and at most 16, such as 5.5"),
        ("--minutes", minutes, MOST_MINUTES, "give minutes, above 0 and at most a day; --no-repair looks for none"),
    ):
        if not 0 < value <= most:  # so written, it refuses NaN too
            raise UsageError(f"it is {value:g}", where=option, hint=hint)
    return RepairLimits(max_bits=max_bits, minutes=minutes)


def diagnose(asked: Asked, progress: Progress) -> Iterator[RunReport | QuantgateError]:
    """Diagnose the broken gates of a stored run, worst first; what is asked for is written after each.

    Args:
        asked: What is to be diagnosed.
        progress: Told how far it has come.

    Yields:
        The run with one more diagnosis, its last one; or why a gate could not be diagnosed, which stops no other.

    Raises:
        QuantgateError: There is nothing to diagnose, or a file cannot be read or written.
    """
    where = str(asked.file)
    report = store.load(asked.file)
    gates = broken_gates(report, where=where, slice_=asked.slice, candidate=asked.candidate)
    refuse_unseen(report, report.reference.spec, where)
    refuse_stopped(report, gates, where)
    folder = folder_of(report, asked.file)
    targets = cleared(asked.file, {"--json": asked.json, "--html": asked.html})
    yield from unexplained(report, where=where, slice_=asked.slice, candidate=asked.candidate)
    means = Means(builtin_registry(asked.grading), asked.limits, progress)
    variants = _Variants(report, asked.file, folder, progress.note)
    for gate in gates:
        failed = None
        try:
            found = diagnosed(report, gate, variants.of(report.reference.spec), variants.of(gate.candidate), means)
        except Exception as error:  # noqa: BLE001  (a library's fault in one gate must not stop the others)
            failed = _failed(error, gate)
        if failed is not None:
            yield failed
            continue
        report = with_diagnosis(report, found)
        _write(report, targets, folder)
        yield report


def _failed(error: Exception, gate: GateResult) -> QuantgateError:
    """Why a gate could not be diagnosed, which holds nothing of its models."""
    if not isinstance(error, QuantgateError):
        error = QuantgateError(fault_of(error), where=f"{gate.slice} on {gate.candidate}")
    return without_frames(error)


class _Variants:
    """The variants of a run, each prepared once.

    Args:
        report: The run.
        file: Its file, for errors.
        folder: The folder that it was made in.
        note: Told what takes long.
    """

    def __init__(self, report: RunReport, file: Path, folder: Path, note: Callable[[str], None]) -> None:
        self._report, self._where, self._note = report, str(file), note
        self._folder = None if folder == Path.cwd() else folder  # else its paths are written here as they were there
        self._known: dict[str, Variant] = {}

    def of(self, spec: str) -> Variant:
        """The variant of a spec.

        Raises:
            QuantgateError: It cannot be looked into here.
        """
        if spec not in self._known:
            refuse_unseen(self._report, spec, self._where)
            self._known[spec] = variant_of(self._report, spec, self._note, self._folder)
        return self._known[spec]


def _write(report: RunReport, targets: Mapping[str, Path], folder: Path) -> None:
    """Write what is asked for; the run was made in the folder, which a report elsewhere calls otherwise."""
    for option, path in targets.items():
        if option == "--json":
            there = None if report.folder is None else seen_from(path, folder)
            store.write(replace(report, report_path=str(path), folder=there), path)
        else:
            store.write_text(page_of(report), path)


def with_diagnosis(report: RunReport, found: Diagnosis) -> RunReport:
    """The run with one more diagnosis, in place of an earlier one of the same slice and candidate."""
    key = found.slice, found.candidate
    others = [each for each in report.diagnoses if (each.slice, each.candidate) != key]
    return replace(report, diagnoses=(*others, found))


def diagnosed(report: RunReport, gate: GateResult, reference: Variant, candidate: Variant, means: Means) -> Diagnosis:
    """Why one gate failed, and what repairs it; a repair is recommended when the slice's gate passes it.

    Args:
        report: The run.
        gate: One of its gates, with degraded cases.
        reference: The run's reference, prepared.
        candidate: The gate's candidate, prepared.
        means: What it is made with.

    Raises:
        QuantgateError: The models cannot be loaded or read, or none of the cases can be looked at.
    """
    from pytest_quantgate.diagnosis.diagnose import Workshop, diagnose

    workshop = None if means.limits is None else Workshop(means.limits, means.registry)
    comparisons = report.comparisons(gate.slice, gate.candidate)
    found = diagnose(gate.slice, comparisons, reference, candidate, workshop=workshop, progress=means.progress)
    if found.repair is not None:
        try:
            repair = _verified(found.repair, report, gate, (reference, candidate), means)
        except Exception as error:  # noqa: BLE001  (what was found out so far must not be lost to it)
            why = f"none could be verified: {fault_of(error)}"
            repair = replace(found.repair, chosen=None, verdicts={}, reason=why)
        found = replace(found, repair=repair)
    notes = [*_other(report, reference), *_other(report, candidate), *_unjudged(report, gate, means)]
    return replace(found, notes=(*notes, *found.notes))


def _verified(
    repair: Repair, report: RunReport, gate: GateResult, variants: tuple[Variant, Variant], means: Means
) -> Repair:
    """The search's repair, verified; of the variants the reference comes first."""
    from pytest_quantgate.diagnosis.search import ranked
    from pytest_quantgate.diagnosis.verification import verify
    from pytest_quantgate.generation.cache import CompletionCache, default_cache_path

    worth = ranked(repair.trials)[:MOST_VERIFIED]
    court, prepare = _court(report, gate, means.registry), partial(_like, *variants)
    with CompletionCache(default_cache_path()) as cache:
        return verify(repair, worth, court, folder=REPAIRS, prepare=prepare, cache=cache, progress=means.progress)


def _like(reference: Variant, candidate: Variant, spec: str) -> Variant:
    """Another spec of the candidate's model, or of the reference's where layers of it were kept of a checkpoint.

    It is put to work as the candidate is.
    """
    from pytest_quantgate.variants.stored import NAME as STORED
    from pytest_quantgate.variants.variant import prepare_variant

    place, model = candidate.placement, (reference if candidate.spec.name == STORED else candidate).model
    return prepare_variant(spec, model, device=place.device, compute_dtype=place.compute_dtype, kernels=place.kernels)


def _court(report: RunReport, gate: GateResult, registry: CheckRegistry) -> Court:
    from pytest_quantgate.diagnosis.verification import Court

    return Court(
        gates=[_input(report, each) for each in report.gates],
        place=report.gates.index(gate),
        controls=[each for each in report.controls if each.slice == gate.slice],
        alpha=report.settings.alpha,
        registry=registry,
    )


def _input(report: RunReport, gate: GateResult) -> GateInput:
    """What a gate of the run was judged by; nobody labels the answers of a repair before there is one."""
    name, floor = gate.slice, report.floor_variant
    records = [each for each in report.cases if each.slice == name and gate.candidate in each.node_ids]
    comparisons = report.comparisons(name, gate.candidate)
    asked = len(records) if report.settings.seed is None else len(comparisons)
    looks = () if gate.evidence is None else gate.evidence.looks
    return GateInput(
        slice=name,
        candidate=gate.candidate,
        comparisons=comparisons,
        policy=replace(gate.policy, min_grader_agreement=None),
        selected=asked,
        total=next(each.total for each in report.slices if each.name == name),
        floor=None if floor is None else report.comparisons(name, floor.spec),
        share=looks[-1].share if looks else 1.0,
        earlier=looks[:-1],
        planned=len(records) if asked < len(records) else None,
    )


def _other(report: RunReport, variant: Variant) -> Iterator[str]:
    """What of a variant is other than in the run."""
    record = record_of(report, str(variant.spec))
    changes = identity_changes(record.identity, variant.identity.fields)
    if changes:
        yield f"{record.spec} is not quite what the run judged: {'; '.join(changes)}"


def _unjudged(report: RunReport, gate: GateResult, means: Means) -> Iterator[str]:
    """What of a repair cannot be judged here."""
    if means.limits is None:
        return
    if gate.policy.min_grader_agreement is not None:
        yield "min_grader_agreement is not judged of a repair: nobody has labelled its answers"
    asked = {
        check.name
        for each in report.cases
        if each.slice == gate.slice
        for checks in (each.case.checks, *(turn.checks for turn in each.case.later))
        for check in checks
    }
    if unknown := sorted(name for name in asked if means.registry.get(name) is None):
        yield f"no repair can be judged by {', '.join(unknown)}, which is not built in: use pytest --quant-diagnose"
