"""What `quantgate calibrate` shows: how well checks agree with people, and how that changed with the candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.gate.wording import percent
from pytest_quantgate.plural import counted
from pytest_quantgate.report.figures import UNDEFINED, change, ranged
from pytest_quantgate.report.tables import Name, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantgate.commands.calibration import Calibration, Judged
    from pytest_quantgate.commands.label_sheet import Said
    from pytest_quantgate.outcomes.intervals import Estimate
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.tables import Line

_AGREEMENT = ("check", "answers of", "labels", "un-\nscored", "agreement", "kappa")
_ERRORS = ("check", "answers of", "both\nyes", "only\ncheck", "only\npeople", "both\nno", "precision", "recall")


def head(report: RunReport, run: str, sheet: str, said: Mapping[str, Said], kept: Sequence[str]) -> tuple[Line, ...]:
    """What was labelled, and where the labels are kept."""
    yes = sum(each.label for each in said.values())
    return (
        ("answers of ", Name(run), ", ", Name(report.model), ", made ", Name(report.created)),
        (f"{counted(len(said), 'label')} of ", Name(sheet), f": {yes} yes, {len(said) - yes} no"),
        *(("kept in ", Name(line)) for line in kept),
    )


def sheets(report: RunReport, found: Sequence[Calibration]) -> Iterator[Sheet]:
    """Two tables for each candidate: agreement and kappa; what the errors are, with precision and recall."""
    for candidate in report.candidates:
        rows = [each for each in found if each.candidate == candidate.spec]
        if not rows:
            continue
        specs = report.reference.spec, candidate.spec
        sides = [
            (each, spec, judged)
            for each in rows
            for spec, judged in zip(specs, (each.reference, each.on_candidate), strict=True)
        ]
        yield Sheet(
            title=("how well checks agree with people about ", Name(specs[0]), " and ", Name(specs[1])),
            headings=_AGREEMENT,
            rows=tuple(_agreement(each, spec, judged) for each, spec, judged in sides),
            notes=tuple(note for each in rows for note in _notes(each, specs)),
        )
        yield Sheet(
            title=("what checks and people say, label by label; precision and recall of the check's yes",),
            headings=_ERRORS,
            rows=tuple(_errors(each, spec, judged) for each, spec, judged in sides),
        )


def _name(found: Calibration) -> Name:
    return Name(f"{found.check}, {'all slices' if found.slice is None else found.slice}")


def _agreement(found: Calibration, spec: str, judged: Judged) -> tuple[str, ...]:
    return (
        _name(found),
        Name(spec),
        f"{judged.labelled} of {judged.answers}",
        str(judged.unscored),
        ranged(judged.agreement.agreement),
        _kappa(judged.agreement.kappa),
    )


def _errors(found: Calibration, spec: str, judged: Judged) -> tuple[str, ...]:
    counts = judged.agreement.counts
    return (
        _name(found),
        Name(spec),
        *(f"{each:.0f}" for each in (counts.both, counts.only_check, counts.only_people, counts.neither)),
        ranged(judged.agreement.precision),
        ranged(judged.agreement.recall),
    )


def _kappa(kappa: Estimate) -> str:
    if kappa.value is None:
        return UNDEFINED
    if kappa.interval is None:
        return f"{kappa.value:.2f}"
    return f"{kappa.value:.2f} ({kappa.interval.low:.2f} to {kappa.interval.high:.2f})"


def _notes(found: Calibration, specs: tuple[str, str]) -> Iterator[Line]:
    """The change, and what the figures leave out."""
    name = _name(found)
    if found.change.value is None:
        yield name, f": no change is told: {found.change.undefined}"
    else:
        told = f"{change(found.change)} points on {counted(found.both, 'case')} labelled on both sides"
        yield name, ": agreement with people changed by ", told
    for spec, judged in zip(specs, (found.reference, found.on_candidate), strict=True):
        if judged.labelled and judged.covered is not None and judged.covered < 1:
            left = percent(1 - judged.covered)
            yield name, ", ", Name(spec), f": {left} of the answers are of a kind that no label stands for"
        if judged.agreement.kappa.value is None:
            yield name, ", ", Name(spec), f": no kappa: {judged.agreement.kappa.undefined}"
