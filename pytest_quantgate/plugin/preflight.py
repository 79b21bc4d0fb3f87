"""What can be told before a model is loaded: gates that could reach no verdict, and how much the others can see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.plugin import reanchor
from pytest_quantgate.plugin.verdicts import labels_of, policy_of, whole_slices

if TYPE_CHECKING:
    from pytest_quantgate.gate.power import PowerRow
    from pytest_quantgate.plugin.session import QuantRun

HINT = "--quant-dry-run shows what every slice can prove; --quant-allow-underpowered runs them all the same"


def power(run: QuantRun) -> tuple[PowerRow, ...]:
    """What the selected cases of each slice can prove."""
    from pytest_quantgate.gate.power import power_rows

    slices = [replace(run.book.named(name), cases=run.tally.cases(name)) for name in run.tally.slices]
    return power_rows(
        [(each, policy_of(run, each.name)) for each in slices],
        candidates=len({candidate for _, candidate in run.tally.selected}),
        alpha=run.options.alpha,
        sequential=run.options.sequential,
    )


def problems(run: QuantRun) -> list[str]:
    """Why slices could not be decided, compared with their goldens or anchored, one line each and what to do below."""
    goldens = [*run.goldens.problems(), *reanchor.problems(run)]
    return [*_without_evidence(run), *_underpowered(run), *_labels(run), *goldens]


def _without_evidence(run: QuantRun) -> list[str]:
    if not run.options.sequential:
        return []
    return [
        f"{run.book.named(name).location}: slice {name}: --quant-sequential needs the rule evidence: add --quant-rule "
        "evidence, or `rule: evidence` to its gate"
        for name in run.tally.slices
        if policy_of(run, name).rule != "evidence"
    ]


def _underpowered(run: QuantRun) -> list[str]:
    """Of slices that are selected whole: who chose a part wants no verdict."""
    if run.options.allow_underpowered:
        return []
    whole = whole_slices(run)
    found = [row.refusal for row in power(run) if row.refusal is not None and row.slice in whole]
    return [*found[:-1], f"{found[-1]}\n  {HINT}"] if found else []


def _labels(run: QuantRun) -> list[str]:
    """What is wrong with the files of labels that gates will read."""
    found: list[str] = []
    for name in run.tally.slices:
        try:
            labels_of(run, name)
        except QuantgateError as error:
            found += str(error).splitlines()
    return found


def refuse(run: QuantRun) -> None:
    """Refuse a run whose gates could not be decided.

    Raises:
        pytest.UsageError: With a line for each slice.
    """
    found = problems(run)
    if found:
        raise pytest.UsageError(*found)
