"""From what was measured to verdicts: the two rules, families of gates, and what controls say about them.

Rule ``evidence``. "A limit is crossed" is a union over the limits of a gate, so its FAIL takes the smallest p-value of
"this limit is kept", times their number. "Every limit is kept" is an intersection: its PASS takes the largest p-value
of "this limit is crossed" (intersection-union test, Berger 1982). Over the looks of a sequential gate each p-value is
divided by the share of alpha that its look may spend, and the smallest counts. Holm's step-down over all gates of a
family, for FAIL and for PASS apart, then keeps the probability of any false alarm at alpha, and that of any false pass.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_quantgate.errors import UsageError
from pytest_quantgate.gate.binomial import ROUNDING
from pytest_quantgate.gate.controls import with_controls
from pytest_quantgate.gate.doubts import why_undecided
from pytest_quantgate.gate.graders import agreement_limits
from pytest_quantgate.gate.limits import wilson_cases
from pytest_quantgate.gate.measures import measure_limits
from pytest_quantgate.gate.model import Evidence, Finding, Floor, GateResult, Look, Verdict
from pytest_quantgate.gate.sentences import by_point, proven_beyond, proven_within, undecided
from pytest_quantgate.gate.wording import p_value
from pytest_quantgate.outcomes.intervals import CONFIDENCE, Interval
from pytest_quantgate.outcomes.significance import holm
from pytest_quantgate.outcomes.statistics import summarize
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantgate.gate.measures import Limit
    from pytest_quantgate.gate.model import GateInput
    from pytest_quantgate.outcomes.model import Comparison
    from pytest_quantgate.outcomes.statistics import SliceStatistics

ALPHA: Final = 0.05
"""Family-wise error that is allowed each way unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """What Holm makes of one gate among its family, one way.

    Attributes:
        adjusted: Its adjusted p-value.
        level: The level that its own p-value was compared with, over all looks.
    """

    adjusted: float
    level: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """One gate with everything that is measured before it is compared with its family.

    Attributes:
        gate: The gate.
        statistics: Of its comparisons.
        limits: What was measured against each limit.
        why_not: Why no verdict is possible; empty when one is.
        look: This look.
        p_fail: Over all looks; 1 when no verdict is possible.
        p_pass: Likewise.
    """

    gate: GateInput
    statistics: SliceStatistics
    limits: tuple[Limit, ...]
    why_not: tuple[str, ...]
    look: Look
    p_fail: float
    p_pass: float

    @property
    def tested(self) -> list[Limit]:
        """The limits that no other limit implies."""
        return [limit for limit in self.limits if limit.counts]


def check_alpha(alpha: float, where: str) -> None:
    """Refuse a family-wise error that no gate could go by.

    Raises:
        UsageError: It is not between 0 and 0.5, both excluded.
    """
    if not 0 < alpha < 0.5:  # noqa: PLR2004  (from one half on, both verdicts would be proven at once)
        hint = "Give the tolerated probability of a false alarm, above 0 and below 0.5; usual is 0.05."
        raise UsageError(f"alpha is {alpha:g}", where=where, hint=hint)


def judge(gates: Sequence[GateInput], *, alpha: float = ALPHA, resample: bool = True) -> tuple[GateResult, ...]:
    """Judge every slice and candidate, and the controls beside them.

    Nothing that rests on too little is judged: a problem, a partial selection, missing cases, too few scored cases, a
    reference that passes nothing, or too many unscored cases give INCONCLUSIVE; and so do a positive control of the
    slice that is not FAILed and a negative one that does not PASS.

    Args:
        gates: All gates of the run: how sure each must be depends on how many there are under the rule ``evidence``,
            the candidates, the positive and the negative controls each being a family.
        alpha: Family-wise error, each way.
        resample: Whether the statistics get BCa intervals, which no verdict rests on; they take most of the time.

    Returns:
        One result for each gate, in the same order.
    """
    seen = [_look_at(gate, resample=resample) for gate in gates]
    families: defaultdict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(seen):
        if each.gate.policy.rule == "evidence":
            families[each.gate.role].append(place)
    results = {place: _by_point(each) for place, each in enumerate(seen) if each.gate.policy.rule == "point"}
    for places in families.values():
        fails = _holm([seen[place].p_fail for place in places], alpha)
        passes = _holm([seen[place].p_pass for place in places], alpha)
        for place, fail, pass_ in zip(places, fails, passes, strict=True):
            results[place] = _by_evidence(seen[place], fail, pass_, alpha, len(places))
    return with_controls([results[place] for place in range(len(seen))])


def _look_at(gate: GateInput, *, resample: bool) -> _Seen:
    statistics = summarize(gate.comparisons, resample=resample)
    limits = measure_limits(gate.comparisons, gate.floor, gate.policy)
    if gate.role == "candidate" and limits:  # controls try the slice, and nobody labels ruins
        limits += agreement_limits(gate.comparisons, gate.labels, gate.policy)
    why_not = tuple(why_undecided(gate, statistics))
    p_fail, p_pass = (1.0, 1.0) if why_not else p_values(limits)
    look = Look(statistics.counts.n, gate.share, p_fail, p_pass)
    looks = () if why_not else (*gate.earlier, look)
    return _Seen(
        gate,
        statistics,
        limits,
        why_not,
        look,
        min([1.0, *(each.p_fail / each.share for each in looks)]),
        min([1.0, *(each.p_pass / each.share for each in looks)]),
    )


def p_values(limits: Iterable[Limit]) -> tuple[float, float]:
    """p-values of one gate and look: against "every limit is kept", and against "a limit is crossed".

    A limit that could not be measured speaks for neither.
    """
    tested = [limit.measure for limit in limits if limit.counts]
    above = [1.0 if each is None else each.p_above() for each in tested]
    below = [1.0 if each is None else each.p_below() for each in tested]
    return min([1.0, *(len(tested) * p for p in above)]), max([0.0, *below])


def _holm(p_values: Sequence[float], alpha: float) -> list[_Levels]:
    """Holm's step-down: adjusted p-values, and the level of the step at which each gate was tested."""
    adjusted = holm(p_values)
    smaller = {p: place for place, p in reversed(list(enumerate(sorted(p_values))))}  # ties share the strictest step
    proven = sum(_at_most(p, alpha) for p in adjusted)
    return [
        _Levels(p, alpha / (len(p_values) - min(smaller[raw], proven)))
        for raw, p in zip(p_values, adjusted, strict=True)
    ]


def _at_most(p: float, alpha: float) -> bool:
    return p <= alpha * (1 + ROUNDING)


def _by_point(seen: _Seen) -> GateResult:
    """FAIL when what was measured is beyond its limit."""
    level = (1 - CONFIDENCE) / 2
    findings = tuple(_finding(limit, seen, wilson_cases(limit.measure, level)) for limit in seen.limits)
    reasons = seen.why_not
    verdict = Verdict.INCONCLUSIVE
    if not reasons:
        told = [(limit, by_point(limit)) for limit in seen.limits]
        crossed = tuple(text for limit, text in told if limit.measure is not None and limit.measure.beyond())
        unknown = tuple(text for limit, text in told if limit.measure is None)
        verdict = Verdict.FAIL if crossed else Verdict.INCONCLUSIVE if unknown else Verdict.PASS
        reasons = crossed or unknown or tuple(text for _, text in told)
    return _result(seen, verdict, reasons, findings, None)


def _by_evidence(seen: _Seen, fail: _Levels, pass_: _Levels, alpha: float, gates: int) -> GateResult:
    """FAIL or PASS when that is proven, else INCONCLUSIVE."""
    gate, tested = seen.gate, seen.tested
    beyond = fail.level * gate.share / max(1, len(tested))
    within = pass_.level * gate.share

    def needed(limit: Limit) -> int | None:
        if limit.measure is None:
            return None
        return limit.measure.needed(beyond if limit.measure.beyond() else within)

    looks = (*gate.earlier, seen.look)
    planned = seen.look.cases + max(0, (gate.planned or gate.selected) - gate.selected)
    evidence = Evidence(alpha, gates, fail.adjusted, pass_.adjusted, looks, planned)
    findings = tuple(_finding(limit, seen, needed(limit)) for limit in seen.limits)
    reasons = seen.why_not
    verdict = Verdict.INCONCLUSIVE
    if not reasons:
        if _at_most(fail.adjusted, alpha):
            verdict = Verdict.FAIL
            crossed = [limit for limit in tested if _proves(limit, "p_above", beyond)]
            told = [proven_beyond(limit, beyond) for limit in crossed] or _decided_before(looks, tested, "p_fail")
        elif _at_most(pass_.adjusted, alpha):
            verdict = Verdict.PASS
            kept = all(_proves(limit, "p_below", within) for limit in tested)
            told = (
                [proven_within(limit, within) for limit in tested] if kept else _decided_before(looks, tested, "p_pass")
            )
        else:
            told = [
                undecided(limit, beyond, within, needed(limit))
                for limit in tested
                if not _proves(limit, "p_below", within)
            ]
        reasons = (*told, _family(verdict, fail.adjusted, pass_.adjusted, alpha, gates))
    return _result(seen, verdict, reasons, findings, evidence)


def _proves(limit: Limit, way: Literal["p_above", "p_below"], level: float) -> bool:
    if limit.measure is None:
        return False
    return _at_most(limit.measure.p_above() if way == "p_above" else limit.measure.p_below(), level)


def _decided_before(looks: Sequence[Look], limits: Iterable[Limit], way: Literal["p_fail", "p_pass"]) -> list[str]:
    """What to say when an earlier look decided and the cases since then alone would not."""
    decisive = min(looks, key=lambda look: getattr(look, way) / look.share)
    return [f"decided by the look at {counted(decisive.cases, 'case')}; now {by_point(limit)}" for limit in limits]


def _family(verdict: Verdict, p_fail: float, p_pass: float, alpha: float, gates: int) -> str:
    told = {
        Verdict.FAIL: p_value(p_fail, limit=alpha),
        Verdict.PASS: p_value(p_pass, limit=alpha),
        Verdict.INCONCLUSIVE: f"{p_value(p_fail, limit=alpha)} to FAIL and {p_value(p_pass, limit=alpha)} to PASS",
    }[verdict]
    return f"evidence: {told}, adjusted for {counted(gates, 'gate')}, at alpha {alpha:g}"


def _finding(limit: Limit, seen: _Seen, needed: int | None) -> Finding:
    measure = limit.measure
    policy_bound = float(getattr(seen.gate.policy, limit.key))
    if measure is None:
        return Finding(limit.key, policy_bound, None, None, limit.undefined, 0, 0.0, None, None, None, limit.check)
    value, interval = measure.value, measure.interval()
    if limit.mirrored:
        value = 1 - value
        interval = None if interval is None else Interval(1 - interval.high, 1 - interval.low, interval.method)
        if limit.floor is None and limit.check is None:
            interval = seen.statistics.robustness.interval or interval
    return Finding(
        limit=limit.key,
        bound=policy_bound,
        measured=value,
        interval=interval,
        undefined=None,
        cases=measure.cases,
        effective=measure.effective,
        p_above=measure.p_above(),
        p_below=measure.p_below(),
        needed=needed,
        check=limit.check,
    )


def _result(
    seen: _Seen,
    verdict: Verdict,
    reasons: Iterable[str],
    findings: tuple[Finding, ...],
    evidence: Evidence | None,
) -> GateResult:
    gate = seen.gate
    return GateResult(
        slice=gate.slice,
        candidate=gate.candidate,
        role=gate.role,
        verdict=verdict,
        reasons=tuple(reasons),
        partial=(gate.planned or gate.selected) < gate.total,
        policy=gate.policy,
        statistics=seen.statistics,
        findings=findings,
        evidence=evidence,
        floor=None if gate.floor is None else _floor(gate.floor),
    )


def _floor(comparisons: Sequence[Comparison]) -> Floor:
    found = summarize(comparisons, resample=False)
    robustness = found.robustness.value
    return Floor(
        pass_to_fail=found.counts.pf,
        fail_to_pass=found.counts.fp,
        cases=found.counts.n,
        interval=found.pass_to_fail.interval,
        loss=None if robustness is None else 1 - robustness,
    )
