"""What controls say about a slice: one that cannot see ruin is blind, and one that fails the reference sees ghosts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantgate.gate.model import GateResult

_MUST_BE: Final = {"positive control": Verdict.FAIL, "negative control": Verdict.PASS}


def graded_again(reference: str) -> str:
    """What a negative control without a second run is called: the reference's own answers, graded once more."""
    return f"{reference} (graded again)"


def with_controls(results: Sequence[GateResult]) -> tuple[GateResult, ...]:
    """Take the verdicts of candidates back where a control of their slice shows that they mean nothing.

    Args:
        results: Candidates and controls, each judged for itself.

    Returns:
        The same results in the same order; candidates of a slice whose positive controls are not all FAILed, or whose
        negative ones do not all PASS, are INCONCLUSIVE with that reason, and say what they would have been. One whose
        own reasons for INCONCLUSIVE are the control's as well keeps those alone. A FAIL stands beside a negative
        control that proves nothing either way: no alarm was false.
    """
    wrong: defaultdict[str, list[GateResult]] = defaultdict(list)
    for result in results:
        if result.role != "candidate" and result.verdict is not _MUST_BE[result.role]:
            wrong[result.slice].append(result)
    return tuple(
        _doubted(result, wrong[result.slice]) if result.role == "candidate" and result.slice in wrong else result
        for result in results
    )


def _doubted(result: GateResult, controls: Sequence[GateResult]) -> GateResult:
    if result.verdict is Verdict.INCONCLUSIVE:
        controls = [each for each in controls if not set(each.reasons) <= set(result.reasons)]
    elif result.verdict is Verdict.FAIL:
        controls = [each for each in controls if each.role == "positive control" or each.verdict is Verdict.FAIL]
    if not controls:
        return result
    told = tuple(_told(each) for each in controls)
    if result.verdict is Verdict.INCONCLUSIVE:
        reasons = (*result.reasons, *told)
    else:
        reasons = (*told, f"without that it would be {result.verdict.value}: {result.reasons[0]}")
    blind = next((each.candidate for each in controls if _is_blind(each)), None)
    return replace(result, verdict=Verdict.INCONCLUSIVE, reasons=reasons, blind=blind)


def _is_blind(control: GateResult) -> bool:
    """Whether a slice looked at a ruined model and did not see it; one that gave no answers was not looked at."""
    return control.role == "positive control" and control.statistics.counts.n > 0


def _told(control: GateResult) -> str:
    must, (first, *more) = _MUST_BE[control.role], control.reasons
    rest = f" (and {len(more)} more)" if (more := [each for each in more if not each.startswith("evidence: ")]) else ""
    blind = " (this slice is blind)" if _is_blind(control) else ""
    return (
        f"the {control.role} {control.candidate} must {must.value} and is {control.verdict.value}{blind}: {first}{rest}"
    )
