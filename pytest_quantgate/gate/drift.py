"""The gate that compares a variant with its own golden: does it still behave as it did when it was anchored?

It judges by what was measured, whatever the slice's rule is: nothing is estimated here, for a golden is kept or it is
not. A library upgrade that changes a variant nobody touched is caught by this gate alone: reference and candidate may
well have moved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.binomial import ROUNDING
from pytest_quantgate.gate.limits import Share, wilson_cases
from pytest_quantgate.gate.model import Finding, GateResult, Verdict
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.gate.wording import percent, percent_limit, percent_range
from pytest_quantgate.outcomes.clusters import groups_of
from pytest_quantgate.outcomes.intervals import CONFIDENCE
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.outcomes.statistics import summarize
from pytest_quantgate.outcomes.values import scored_of

if TYPE_CHECKING:
    from pytest_quantgate.outcomes.model import Outcome

LIMIT: Final = "max_drift"


@dataclass(frozen=True, slots=True)
class DriftInput:
    """Everything that the verdict of one drift gate rests on.

    Attributes:
        slice: Name of the slice.
        variant: Spec of the variant, be it a candidate or the reference.
        comparisons: The cases whose anchor still stands and that were answered now: the anchored outcome as the
            reference, that of now as the candidate. Those that are unscored on either side are among them.
        policy: The limits, of which it reads ``max_drift`` and ``max_unscored``.
        expired: Selected cases whose prompt or checks changed since they were anchored.
        missing: Selected cases whose anchor still stands and that gave no result.
        selected: Cases of the slice that were selected, anchored or not.
        total: Cases of the slice.
        problem: What kept the variant from answering.
    """

    slice: str
    variant: str
    comparisons: Sequence[Comparison]
    policy: GatePolicy
    expired: int
    missing: int
    selected: int
    total: int
    problem: str | None = None


def has_drifted(before: Outcome, now: Outcome) -> bool:
    """Whether any check says something else than it did; the wording of answers and reasons does not matter."""
    return [(each.check, each.followed) for each in before.results] != [
        (each.check, each.followed) for each in now.results
    ]


def judge_drift(drift: DriftInput) -> GateResult:
    """Judge how many cases of one slice a variant answers with other results than its golden holds.

    Cases that are not anchored do not count. Nothing that rests on too little is judged: a problem, a partial
    selection, missing cases, nothing to compare, or too many expired and unscored ones give INCONCLUSIVE.

    Args:
        drift: What was compared.

    Returns:
        A result of the role ``drift`` with one finding, ``max_drift``; its statistics are of golden against now.
    """
    scored = scored_of(drift.comparisons)
    share = None
    if scored:
        values = [float(has_drifted(each.reference, each.candidate)) for each in scored]
        share = Share(values, groups_of(scored), drift.policy.max_drift)
    reasons = tuple(_why_undecided(drift, len(scored)))
    verdict = Verdict.INCONCLUSIVE
    if not reasons and share is not None:
        verdict = Verdict.FAIL if share.beyond() else Verdict.PASS
        reasons = (_told(share),)
    return GateResult(
        slice=drift.slice,
        candidate=drift.variant,
        role="drift",
        verdict=verdict,
        reasons=reasons,
        partial=drift.selected < drift.total,
        policy=drift.policy,
        statistics=summarize(drift.comparisons, resample=False),
        findings=() if share is None else (_finding(share),),
    )


def _why_undecided(drift: DriftInput, scored: int) -> list[str]:
    """Every reason that applies; none when the gate can be judged."""
    reasons = [drift.problem] if drift.problem is not None else []
    if drift.selected < drift.total:
        reasons.append(f"partial selection: {drift.selected} of {drift.total} cases")
    if drift.problem is not None:
        return reasons  # what is missing is missing because of it
    anchored = len(drift.comparisons) + drift.expired + drift.missing
    if drift.missing:
        reasons.append(f"missing cases: {drift.missing} of {anchored} anchored cases gave no result")
    unscored = len(drift.comparisons) - scored
    limit = drift.policy.max_unscored
    lost = (drift.expired + unscored) / anchored if anchored else 0
    if not scored and not drift.missing:
        reasons.append(f"nothing can be compared with the golden: {_counts(drift.expired, unscored, anchored)}")
    elif lost > limit + ROUNDING:
        reasons.append(
            f"too little can be compared with the golden: {_counts(drift.expired, unscored, anchored)}"
            f" ({percent(lost, limit=limit)}), which is above {percent_limit(limit)}"
        )
    return reasons


def _counts(expired: int, unscored: int, anchored: int) -> str:
    if not expired + unscored:
        return "no selected case is anchored"
    counted = ((expired, "expired"), (unscored, "unscored"))
    what = " and ".join(f"{number} {word}" for number, word in counted if number)
    return f"{what} of {anchored} anchored cases"


def _told(share: Share) -> str:
    interval = share.interval()
    spread = "" if interval is None else f", 95% interval {percent_range(interval)}"
    counted = f"{round(sum(share.values))} of {share.cases} ({percent(share.value, limit=share.bound)}{spread})"
    side = "above" if share.beyond() else "not above"
    return f"drifted from the golden {counted} is {side} {percent_limit(share.bound)}"


def _finding(share: Share) -> Finding:
    return Finding(
        limit=LIMIT,
        bound=share.bound,
        measured=share.value,
        interval=share.interval(),
        undefined=None,
        cases=share.cases,
        effective=share.effective,
        p_above=share.p_above(),
        p_below=share.p_below(),
        needed=wilson_cases(share, (1 - CONFIDENCE) / 2),
    )
