"""Whether a report that was read back names everything once, so that no view of it can lose a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantgate.report.reading import MismatchError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pytest_quantgate.report.model import RunReport


def refuse_contradictions(report: RunReport) -> None:
    """Refuse a report whose views would leave out a gate, or count a case twice.

    Raises:
        MismatchError: A name stands twice, or a gate or diagnosis is not of a slice and candidate of the report.
    """
    _refuse_twice("candidate", [each.spec for each in report.candidates])
    _refuse_twice("slice", [each.name for each in report.slices])
    _refuse_twice("case", [(each.slice, each.case.id) for each in report.cases])
    _refuse_twice("gate", [(each.slice, each.candidate) for each in report.gates])
    _refuse_twice("golden", [(each.slice, each.variant) for each in report.goldens])
    _refuse_twice("drift gate", [(each.slice, each.candidate) for each in report.drifts])
    _refuse_twice("diagnosis", [(each.slice, each.candidate) for each in report.diagnoses])
    slices, candidates = {each.name for each in report.slices}, {each.spec for each in report.candidates}
    for what, slice_, candidate in (
        *(("gate", each.slice, each.candidate) for each in report.gates),
        *(("diagnosis", each.slice, each.candidate) for each in report.diagnoses),
    ):
        if slice_ not in slices or candidate not in candidates:
            msg = f"the {what} of {candidate!r} on {slice_!r} is of no candidate and slice in it"
            raise MismatchError(msg)
    for what, slice_, variant in (
        *(("golden", each.slice, each.variant) for each in report.goldens),
        *(("drift gate", each.slice, each.candidate) for each in report.drifts),
    ):
        if slice_ not in slices:
            msg = f"the {what} of {variant!r} is of the slice {slice_!r}, which is not in it"
            raise MismatchError(msg)


def _refuse_twice(what: str, keys: Iterable[Hashable]) -> None:
    seen = set()
    for key in keys:
        if key in seen:
            msg = f"{what} {key!r} stands in it twice"
            raise MismatchError(msg)
        seen.add(key)
