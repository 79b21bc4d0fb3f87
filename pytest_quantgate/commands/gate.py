"""`quantgate gate`: judges recorded answers, with the same checks, limits and verdicts as a run in pytest."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import PolicySettings
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.label_files import labels_of_slice
from pytest_quantgate.commands.policies import policies_of, refuse_undecidable
from pytest_quantgate.commands.recorded import read_recording
from pytest_quantgate.commands.slices import slice_files, slices_of
from pytest_quantgate.errors import GoldenError, Problem, QuantgateWarning, SliceError, UsageError
from pytest_quantgate.gate.controls import graded_again
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput, Verdict
from pytest_quantgate.golden.labels import load_labels
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.printable import visible
from pytest_quantgate.report.difference import side_by_side
from pytest_quantgate.report.model import (
    CaseRecord,
    GateSettings,
    RunReport,
    SliceRecord,
    VariantRecord,
    timestamp,
    tool_version,
)
from pytest_quantgate.report.store import clear
from pytest_quantgate.report.terminal import NARROWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantgate.cases.model import Slice
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings
    from pytest_quantgate.commands.recorded import Recording, Source
    from pytest_quantgate.gate.model import Role
    from pytest_quantgate.gate.policy import GatePolicy
    from pytest_quantgate.outcomes.labelled import Labels

SHOWN: Final = 3
"""Degraded cases of one slice and candidate whose answers are shown."""

NAMED: Final = 20
"""Further ones that are named, and cases without an answer."""

UNKNOWN: Final = "-"
"""Stands for what nobody knows of recorded answers: device and arithmetic."""

Outcomes = dict[tuple[str, str], Outcome]
"""Graded answers of one variant, by slice and case id."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged, and how.

    Attributes:
        reference: Where the trusted variant's answers are.
        candidates: Where the answers are of those that want to replace it; at least one.
        controls: Where the answers are of variants that must be failed.
        floor: Where the reference's answers to the same prompts are, made once more; None without.
        paths: Slice files and folders.
        suites: Names of packaged suites.
        policy: Limits that go before those of the slice files.
        settings: What all gates share.
        allow_underpowered: Judge although no number of passed cases could give a verdict.
        grading: What checks may do.
        report_json: Where the report will be written; None for nowhere.
        command: The command, one string per argument.
    """

    reference: Source
    candidates: tuple[Source, ...]
    paths: tuple[Path, ...]
    controls: tuple[Source, ...]
    floor: Source | None
    suites: tuple[str, ...]
    policy: PolicySettings
    settings: GateSettings
    allow_underpowered: bool
    grading: GradingSettings
    report_json: Path | None
    command: tuple[str, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file of answers: reference, candidates, controls, noise floor."""
        return (self.reference, *self.candidates, *self.controls, *([self.floor] if self.floor else []))


def gate(asked: Asked) -> RunReport:
    """Read, grade and judge recorded answers.

    Args:
        asked: What is to be judged.

    Returns:
        The run's report, not yet written.

    Raises:
        SliceError: With every problem of the slice files, or else of all files of answers.
        UsageError: A file cannot be read, an option cannot be right, or a gate could reach no verdict.
    """
    _refuse_equal_names(asked.sources)
    _refuse_to_overwrite(asked)
    registry = builtin_registry(asked.grading)
    slices = slices_of(asked.paths, asked.suites, registry)
    policies = policies_of(slices, asked.policy, asked.settings.alpha)
    if not asked.allow_underpowered:
        refuse_undecidable(slices, policies, candidates=len(asked.candidates), alpha=asked.settings.alpha)
    if asked.report_json is not None:
        clear(asked.report_json, "JSON")
    problems: list[Problem] = []
    recordings = {source.name: read_recording(source, slices, problems) for source in asked.sources}
    labels = {each.name: _labels(each, policies[each.name], problems) for each in slices}
    if problems:
        raise SliceError(problems)
    _name_missing(recordings, slices)
    outcomes = {name: _graded(recording, slices, registry) for name, recording in recordings.items()}
    again = _graded(recordings[asked.reference.name], slices, registry) if asked.controls and not asked.floor else None
    inputs = [
        replace(gate, labels=labels[each.name])
        for each in slices
        for gate in _inputs(asked, each, policies[each.name], outcomes, again)
    ]
    results = judge(inputs, alpha=asked.settings.alpha)
    return RunReport(
        tool_version=tool_version(),
        created=timestamp(),
        command=asked.command,
        base_command=(),
        report_path=None if asked.report_json is None else str(asked.report_json),
        model="recorded answers",
        revision=None,
        device=UNKNOWN,
        compute_dtype=UNKNOWN,
        reference=_variant(recordings[asked.reference.name]),
        candidates=tuple(_variant(recordings[source.name]) for source in asked.candidates),
        slices=tuple(
            SliceRecord(each.name, each.description, each.location.path, len(each.cases), each.location.line)
            for each in slices
        ),
        gates=tuple(result for result in results if result.role == "candidate"),
        cases=tuple(_records(slices, outcomes)),
        settings=asked.settings,
        controls=tuple(result for result in results if result.role != "candidate"),
        control_variants=tuple(_variant(recordings[source.name]) for source in asked.controls),
        floor_variant=None if asked.floor is None else _variant(recordings[asked.floor.name]),
    )


def succeeded(report: RunReport) -> bool:
    """Whether every gate passed, or was undecided where that is to do no harm; an answer that is missing always does.

    Args:
        report: What ``gate`` gave.
    """
    beside = {each.spec for each in report.control_variants}
    if report.floor_variant is not None:
        beside.add(report.floor_variant.spec)

    def kept(slice_: str, candidate: str, verdict: Verdict) -> bool:
        if verdict is Verdict.INCONCLUSIVE and report.settings.inconclusive == "pass":
            sides = {report.reference.spec, candidate, *beside}
            return all(sides <= record.outcomes.keys() for record in report.cases if record.slice == slice_)
        return verdict is Verdict.PASS

    return all(kept(gate.slice, gate.candidate, gate.verdict) for gate in report.gates)


def degraded_cases(report: RunReport, *, width: int, color: bool) -> str:
    """Both answers of the first degraded cases of each slice and candidate, side by side; empty when none degraded.

    Args:
        report: What ``gate`` gave.
        width: Columns to fill.
        color: Whether to colour with ANSI escapes.
    """
    parts = []
    for each in report.gates:
        found = report.degraded(each.slice, each.candidate)
        for record in found[:SHOWN]:
            comparison = record.comparison(report.reference.spec, each.candidate)
            if comparison is not None:
                parts.append(
                    side_by_side(
                        record.case,
                        comparison,
                        each.candidate,
                        slice_name=each.slice,
                        reference=report.reference.spec,
                        width=max(width, NARROWEST),
                        color=color,
                    )
                )
        if len(found) > SHOWN:
            ids = ", ".join(record.case.id for record in found[SHOWN : SHOWN + NAMED])
            rest = ", ..." if len(found) > SHOWN + NAMED else ""
            parts.append(visible(f"{len(found) - SHOWN} more of {each.slice} on {each.candidate}: {ids}{rest}") + "\n")
    return "\n".join(parts)


def _refuse_equal_names(sources: Sequence[Source]) -> None:
    for name, count in Counter(source.name for source in sources).items():
        if count > 1:
            what = f"{count} files of answers are called {name!r}"
            raise UsageError(what, hint="give one of them another name: NAME=FILE")


def _refuse_to_overwrite(asked: Asked) -> None:
    if asked.report_json is None:
        return
    read = [Path(source.file) for source in asked.sources]
    read += [file for path in asked.paths for file in slice_files(path)]
    try:
        path = asked.report_json.resolve()
        taken = any(each.resolve() == path for each in read)
    except (OSError, RuntimeError, ValueError):  # no path, or links in a circle; reading and writing it tell
        return
    if taken:
        what = f"{asked.report_json} is judged, and would be overwritten"
        raise UsageError(what, where="--report-json", hint="name another file")


def _name_missing(recordings: Mapping[str, Recording], slices: Sequence[Slice]) -> None:
    """Say which cases have no answer; their gates are INCONCLUSIVE, and say only how many."""
    for recording in recordings.values():
        for each in slices:
            missing = [case.id for case in each.cases if (each.name, case.id) not in recording.answers]
            if missing:
                named = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
                what = f"{len(missing)} of {len(each.cases)} cases of {each.name} have no answer: {named}"
                warnings.warn(f"{recording.source.file}: {what}", QuantgateWarning, stacklevel=2)


def _labels(slice_: Slice, policy: GatePolicy, found: list[Problem]) -> Labels:
    """What people say of answers to a slice, where its policy asks for it."""
    if policy.min_grader_agreement is None:
        return {}
    try:
        return load_labels(labels_of_slice(slice_.location.path, slice_.name), slice_.name).by_check()
    except GoldenError as error:
        found += error.problems
        return {}


def _graded(recording: Recording, slices: Sequence[Slice], registry: CheckRegistry) -> Outcomes:
    return {
        (each.name, case.id): outcome_of_turns(case, recording.answers[each.name, case.id], registry)
        for each in slices
        for case in each.cases
        if (each.name, case.id) in recording.answers
    }


def _inputs(
    asked: Asked, slice_: Slice, policy: GatePolicy, outcomes: Mapping[str, Outcomes], again: Outcomes | None
) -> Iterator[GateInput]:
    """The gates of one slice: those of the candidates, then of the controls."""
    reference = outcomes[asked.reference.name]

    def compared(other: Outcomes) -> tuple[Comparison, ...]:
        keys = [((slice_.name, case.id), case) for case in slice_.cases]
        return tuple(
            Comparison(case, reference[key], other[key]) for key, case in keys if key in reference and key in other
        )

    floor = None if asked.floor is None else compared(outcomes[asked.floor.name])
    problem = None
    if asked.floor is not None and floor is not None and len(floor) < len(slice_.cases):
        missing = len(slice_.cases) - len(floor)
        problem = f"noise floor: {missing} of {len(slice_.cases)} cases are not answered by both reference and floor"

    def judged(name: str, other: Outcomes, role: Role, floor: tuple[Comparison, ...] | None) -> GateInput:
        return GateInput(
            slice=slice_.name,
            candidate=name,
            comparisons=compared(other),
            policy=policy,
            selected=len(slice_.cases),
            total=len(slice_.cases),
            role=role,
            problem=problem,
            floor=floor,
        )

    for source in asked.candidates:
        yield judged(source.name, outcomes[source.name], "candidate", floor)
    for source in asked.controls:
        yield judged(source.name, outcomes[source.name], "positive control", floor)
    if asked.floor is not None:
        yield judged(asked.floor.name, outcomes[asked.floor.name], "negative control", None)
    elif again is not None:
        yield judged(graded_again(asked.reference.name), again, "negative control", None)


def _variant(recording: Recording) -> VariantRecord:
    identity = {"file": recording.source.file, "sha256": recording.digest}
    return VariantRecord(recording.source.name, recording.digest, identity)


def _records(slices: Sequence[Slice], outcomes: Mapping[str, Outcomes]) -> Iterator[CaseRecord]:
    for each in slices:
        for case in each.cases:
            key = each.name, case.id
            found = {name: graded[key] for name, graded in outcomes.items() if key in graded}
            yield CaseRecord(each.name, case, {}, found)
