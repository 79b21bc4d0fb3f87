"""What the variants of a run are, and by which kernels they answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.report.model import RunReport
    from pytest_quantgate.report.records import VariantRecord


def roles(report: RunReport) -> list[tuple[str, VariantRecord]]:
    """Every variant of the run behind its role."""
    found = [("reference", report.reference), *(("candidate", each) for each in report.candidates)]
    found += [("positive control", each) for each in report.control_variants]
    return found if report.floor_variant is None else [*found, ("noise floor", report.floor_variant)]


def described(variant: VariantRecord) -> str | None:
    """One line such as ``4-bit NormalFloat (bitsandbytes): ...; dense kernels``; None when nothing is known."""
    kernels = f"{variant.kernels} kernels" if variant.kernels else ""
    return "; ".join(filter(None, (variant.summary, kernels))) or None
