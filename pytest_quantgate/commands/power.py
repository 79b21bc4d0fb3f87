"""`quantgate power`: what the cases of a slice can prove, before any model is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases.model import Case, Location, Message, PolicySettings, Slice
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.policies import policies_of
from pytest_quantgate.commands.slices import slices_of
from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.power import power_rows

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_quantgate.gate.power import PowerRow

MOST_CASES: Final = 1_000_000
MOST_CANDIDATES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be gated.

    Attributes:
        paths: Slice files and folders.
        suites: Names of packaged suites.
        cases: Cases of a slice that is not written yet; None when slices are named.
        candidates: How many candidates will be judged.
        policy: Limits that go before those of the slice files.
        alpha: Family-wise error of the rule ``evidence``, each way.
    """

    paths: tuple[Path, ...]
    suites: tuple[str, ...]
    cases: int | None
    candidates: int
    policy: PolicySettings
    alpha: float


def power(plan: Plan) -> tuple[PowerRow, ...]:
    """What each slice can prove.

    Raises:
        SliceError: With every problem of the slice files.
        UsageError: An option cannot be right, or options do not fit together.
    """
    if not 1 <= plan.candidates <= MOST_CANDIDATES:
        raise UsageError(f"{plan.candidates} candidates", where="--candidates", hint=f"from 1 to {MOST_CANDIDATES:,}")
    if plan.cases is None:
        slices = slices_of(plan.paths, plan.suites, builtin_registry())
    elif plan.paths or plan.suites:
        raise UsageError("slices have cases already", where="--cases", hint="name slices, or a number of cases")
    elif not 1 <= plan.cases <= MOST_CASES:
        raise UsageError(f"{plan.cases} cases", where="--cases", hint=f"from 1 to {MOST_CASES:,}")
    else:
        slices = (_slice_of(plan.cases),)
    policies = policies_of(slices, plan.policy, plan.alpha)
    return power_rows([(each, policies[each.name]) for each in slices], candidates=plan.candidates, alpha=plan.alpha)


def _slice_of(cases: int) -> Slice:
    """A slice of so many cases that share nothing."""
    where = Location("--cases", 1)
    case = Case("any", (Message("user", "any"),), (), max_new_tokens=1, location=where)
    return Slice("any", "", (case,) * cases, PolicySettings(), where)
