"""Diagnoses as JSON values, and back."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pytest_quantgate.diagnosis.model import Diagnosis
from pytest_quantgate.report.reading import MismatchError

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.model import Curve, Grid
    from pytest_quantgate.report.reading import Fields


def encode_diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis as a JSON value."""
    from msgspec import to_builtins

    value: dict[str, Any] = to_builtins(diagnosis, enc_hook=dict)  # the hook is for mappings that are no dict
    return value


def decode_diagnoses(fields: Fields, key: str) -> tuple[Diagnosis, ...]:
    """The diagnoses that ``encode_diagnosis`` wrote.

    Raises:
        MismatchError: One is missing something, has a curve or a grid that cannot be drawn, or recommends a repair that
            was not verified.
    """
    found = fields.values(key, Diagnosis)
    for number, diagnosis in enumerate(found):
        for what, troubles in (
            ("curves", map(_trouble_of_curve, diagnosis.curves)),
            ("grids", map(_trouble_of_grid, diagnosis.grids)),
        ):
            for place, trouble in enumerate(troubles):
                if trouble:
                    msg = f"report.{key}[{number}].{what}[{place}] {trouble}"
                    raise MismatchError(msg)
        chosen = None if diagnosis.repair is None else diagnosis.repair.chosen
        if chosen is not None and chosen.stage != "verified":
            msg = f"report.{key}[{number}].repair.chosen was not verified"
            raise MismatchError(msg)
    return found


def _trouble_of_curve(curve: Curve) -> str:
    if len(curve.at) != len(curve.values):
        return f"has {len(curve.values)} values at {len(curve.at)} places"
    if any(before >= after for before, after in pairwise(curve.at)):
        return "has places that do not ascend"
    return ""


def _trouble_of_grid(grid: Grid) -> str:
    if [len(row) for row in grid.values] != [len(grid.columns)] * len(grid.rows):
        return f"is not of {len(grid.rows)} rows and {len(grid.columns)} columns"
    return ""
