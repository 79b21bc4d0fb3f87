"""The tables of docs/gates.md on numbers of cases are what the code gives."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_quantgate.gate.binomial import cases_to_pass, cases_to_pass_at, power_to_fail, power_to_pass, smallest_rate
from pytest_quantgate.gate.measures import INDICATORS

PAGE = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")
FAMILIES = (1, 4, 8, 16)


def joined(values: list[int | None]) -> str:
    return " / ".join(map(str, values))


def test_the_cases_that_a_pass_needs() -> None:
    for limit in (0.01, 0.02, 0.05, 0.10):
        none = joined([cases_to_pass(limit, 0.05 / gates) for gates in FAMILIES])
        half = joined([cases_to_pass_at(limit / 2, limit, 0.05 / gates) for gates in FAMILIES])
        assert f"| {limit:.0%} | 1 / 4 / 8 / 16 | {none} | {half} |" in PAGE


def test_the_rates_that_are_seen() -> None:
    for cases in (60, 120, 250, 490, 1000):
        cells = [
            " / ".join(f"{smallest_rate(cases, limit, 0.05 / gates) or 0:.1%}" for gates in (1, 4, 16))
            for limit in (0.05, 0.02)
        ]
        assert f"| {cases} | {cells[0]} | {cells[1]} |" in PAGE


def test_the_power_curve() -> None:
    for shown, rate in re.findall(r"^\| (([\d.]+)%) \| 0\.\d{3} / ", PAGE, re.MULTILINE):
        cells = " | ".join(
            f"{power_to_fail(float(rate) / 100, cases, 0.05, 0.05 / gates):.3f}"
            f" / {power_to_pass(float(rate) / 100, cases, 0.05, 0.05 / gates):.3f}"
            for cases, gates in ((60, 1), (120, 1), (120, 16), (490, 1), (490, 16))
        )
        assert f"| {shown} | {cells} |" in PAGE


def test_every_indicator_limit_is_told() -> None:
    assert all(f"| `{key}` |" in PAGE for key in INDICATORS)
