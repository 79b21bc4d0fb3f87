"""What a gate measured as properties of its test case in JUnit XML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantgate.gate.model import GateResult


def properties(gate: GateResult) -> list[tuple[str, str]]:
    """Names and values of one gate's properties; what is undefined has none."""
    return [(f"quant_{name}", text) for name, value in _values(gate) if (text := _written(value)) is not None]


def _values(gate: GateResult) -> Iterator[tuple[str, float | int | None]]:
    statistics = gate.statistics
    counts = statistics.counts
    yield from (("pp", counts.pp), ("ff", counts.ff), ("pf", counts.pf), ("fp", counts.fp))
    yield "unscored", statistics.unscored
    yield "reference_pass_rate", counts.reference_pass_rate
    yield "candidate_pass_rate", counts.candidate_pass_rate
    for found in gate.findings:
        name = found.limit.removeprefix("max_").removeprefix("min_")
        if found.check is not None:
            name = f"{name}:{found.check}"
        yield name, found.measured
        yield f"{name}_limit", found.bound
        if found.interval is not None:
            yield f"{name}_low", found.interval.low
            yield f"{name}_high", found.interval.high


def _written(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
