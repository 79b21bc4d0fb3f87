"""How well the checks of a stored run agree with labelled answers, for the reference and for each candidate."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.agreement import Agreement, agreement_of, difference_of
from pytest_quantgate.outcomes.intervals import Estimate
from pytest_quantgate.outcomes.labelled import Rating, Sample, paired_samples, pairs_of, sample_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.golden.labels import Label
    from pytest_quantgate.report.model import RunReport


@dataclass(frozen=True, slots=True)
class Judged:
    """One check on the answers of one variant.

    Attributes:
        labelled: Labelled answers that it gave a verdict on.
        unscored: Labelled answers that it gave none on.
        answers: All answers that it gave a verdict on.
        covered: Share of those that a label stands for; None without an answer.
        agreement: How well it agrees with people.
    """

    labelled: int
    unscored: int
    answers: int
    covered: float | None
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Calibration:
    """One check on one slice, or on all of them, for one candidate.

    Attributes:
        candidate: The candidate.
        slice: Name of the slice; None for all slices together.
        check: Name of the check.
        reference: On the reference's answers.
        on_candidate: On the candidate's answers.
        both: Cases that are labelled and scored on both sides.
        change: Agreement on the candidate less that on the reference, over those.
    """

    candidate: str
    slice: str | None
    check: str
    reference: Judged
    on_candidate: Judged
    both: int
    change: Estimate


def calibrations(report: RunReport, labels: Sequence[tuple[str, Label]]) -> tuple[Calibration, ...]:
    """How well each check agrees with people, candidate by candidate.

    Args:
        report: The run.
        labels: What people say of its answers, each with the name of its slice.

    Returns:
        Every check that has labels, slice by slice, then over all slices where it has some in several.
    """
    return tuple(_calibrations(report, labels))


def _calibrations(report: RunReport, labels: Sequence[tuple[str, Label]]) -> Iterator[Calibration]:
    said: defaultdict[str, defaultdict[str, dict[str, bool]]] = defaultdict(lambda: defaultdict(dict))
    for slice_name, label in labels:
        said[slice_name][label.check][label.key] = label.yes
    for candidate in report.candidates:
        parts: defaultdict[str, list[_Part]] = defaultdict(list)
        for each in report.slices:
            pairs = pairs_of(report.comparisons(each.name, candidate.spec)) if each.name in said else {}
            for check, members in pairs.items():
                known = said[each.name].get(check)
                if known:
                    sides = sample_of(members, known, "reference"), sample_of(members, known, "candidate")
                    parts[check].append(_Part(each.name, *sides, paired_samples(members, known)))
        for check, found in parts.items():
            yield from (_calibration(candidate.spec, part.slice, check, [part]) for part in found)
            if len(found) > 1:
                yield _calibration(candidate.spec, None, check, found)


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of one check on one slice.

    Attributes:
        slice: Name of the slice.
        reference: Labelled answers of the reference.
        candidate: Labelled answers of the candidate.
        paired: Cases that are labelled on both sides.
    """

    slice: str
    reference: Sample
    candidate: Sample
    paired: tuple[tuple[Rating, ...], tuple[Rating, ...]]


def _calibration(candidate: str, slice_name: str | None, check: str, parts: Sequence[_Part]) -> Calibration:
    before = [rating for part in parts for rating in _apart(part.slice, part.paired[0])]
    after = [rating for part in parts for rating in _apart(part.slice, part.paired[1])]
    return Calibration(
        candidate=candidate,
        slice=slice_name,
        check=check,
        reference=_judged([(part.slice, part.reference) for part in parts]),
        on_candidate=_judged([(part.slice, part.candidate) for part in parts]),
        both=len(before),
        change=difference_of(before, after),
    )


def _judged(samples: Sequence[tuple[str, Sample]]) -> Judged:
    ratings = [rating for name, sample in samples for rating in _apart(name, sample.ratings)]
    answers = sum(sample.answers for _, sample in samples)
    covered = sum(sample.answers * (sample.covered or 0) for _, sample in samples)
    return Judged(
        labelled=len(ratings),
        unscored=sum(sample.unscored for _, sample in samples),
        answers=answers,
        covered=covered / answers if answers else None,
        agreement=agreement_of(ratings),
    )


def _apart(slice_name: str, ratings: Sequence[Rating]) -> list[Rating]:
    """Ratings whose groups are told from those of other slices."""
    return [replace(each, group=(slice_name, each.group)) for each in ratings]
