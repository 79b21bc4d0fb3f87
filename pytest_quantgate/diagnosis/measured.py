"""What one part of a diagnosis measured; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantgate.diagnosis.model import Curve, Grid, Value


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers, and what could not be measured.

    Attributes:
        values: Numbers.
        curves: Curves.
        grids: Grids.
        notes: What is missing, and why: one line each.
    """

    values: tuple[Value, ...] = ()
    curves: tuple[Curve, ...] = ()
    grids: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Measured) -> Measured:
        """Both, one behind the other."""
        return Measured(
            self.values + other.values,
            self.curves + other.curves,
            self.grids + other.grids,
            self.notes + other.notes,
        )
