"""What is said about each limit: what was measured, how sure that is, and on which side of the limit it lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Final

from pytest_quantgate.gate.limits import Difference, Ratio, Share, one_sided
from pytest_quantgate.gate.measures import INDICATORS
from pytest_quantgate.gate.wording import given, measured, percent, percent_limit, percent_range
from pytest_quantgate.outcomes.indicators import words
from pytest_quantgate.outcomes.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantgate.gate.measures import Limit

INDICATOR_WORDS: Final = {key: words(name) for key, name in INDICATORS.items()}
"""What limits on indicators judge, by their keys."""


_UNITS: Final = {"max_cluster_pass_to_fail": "clusters", "min_grader_agreement": "labels"}
"""What limits count, by their keys; all others count cases."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """How values of one limit are written.

    Attributes:
        value: Writes a measured value so that it differs from a limit that it is not equal to.
        bound: Writes the limit.
        bad: The side of the limit that is not tolerated.
        good: The other side.
    """

    value: Callable[[float, float], str]
    bound: Callable[[float], str]
    bad: str = "above"
    good: str = "below"


_SHARE: Final = _Scale(lambda value, limit: percent(value, limit=limit), percent_limit)
_R: Final = _Scale(
    lambda value, limit: measured(value, 3, limit=limit), lambda limit: given(limit, 2), "below", "above"
)
_AGREEMENT: Final = _Scale(lambda value, limit: percent(value, limit=limit), percent_limit, "below", "above")
_RATIO: Final = _Scale(lambda value, limit: measured(value, 2, limit=limit), lambda limit: given(limit, 2))
_DRIFT: Final = _Scale(
    lambda value, limit: ("+" if value >= 0 else "-") + percent(abs(value), limit=limit),
    lambda limit: f"±{percent_limit(limit)}",
    "beyond",
    "within",
)


def by_point(limit: Limit) -> str:
    """What was measured, with its 95% interval, and whether that is beyond the limit."""
    measure, scale = limit.measure, _scale(limit)
    if measure is None:
        return f"{limit.key} cannot be judged: {limit.undefined}"
    interval = None if limit.key == "min_robustness" else measure.interval()
    spread = "" if interval is None else f"95% interval {_range(limit, interval)}"
    if measure.beyond():
        return f"{_told(limit, spread)} is {scale.bad} {_bound(limit)}"
    side = scale.good if scale is _DRIFT else f"not {scale.bad}"
    return f"{_told(limit, spread)} is {side} {_bound(limit)}"


def proven_beyond(limit: Limit, level: float) -> str:
    """What was measured, with the one-sided bound that lies beyond the limit."""
    if limit.measure is None:
        return by_point(limit)
    value = limit.measure.value
    drift = isinstance(limit.measure, Difference) and limit.measure.both_ways
    low, high = one_sided(limit.measure, level / 2 if drift else level)
    spread = f"at least {_write(limit, low)}"
    if limit.mirrored:
        spread = f"at most {_write(limit, low)}"
    elif drift and value < 0:
        spread = f"at most {_write(limit, high)}"
    return f"{_told(limit, spread)} is {_scale(limit).bad} {_bound(limit)}"


def proven_within(limit: Limit, level: float) -> str:
    """What was measured, with the one-sided bound that lies on the tolerated side."""
    if limit.measure is None:
        return by_point(limit)
    low, high = one_sided(limit.measure, level)
    spread = f"at most {_write(limit, high)}"
    if limit.mirrored:
        spread = f"at least {_write(limit, high)}"
    elif isinstance(limit.measure, Difference) and limit.measure.both_ways:
        spread = f"from {_write(limit, low)} to {_write(limit, high)}"
    return f"{_told(limit, spread)} is {_scale(limit).good} {_bound(limit)}"


def undecided(limit: Limit, beyond: float, within: float, needed: int | None) -> str:
    """What was measured, with both one-sided bounds, and how many cases would decide.

    Args:
        limit: The limit.
        beyond: Level at which it would have been proven to be crossed.
        within: Level at which it would have been proven to be kept.
        needed: Cases that would decide, if the same were measured again.
    """
    if limit.measure is None:
        return by_point(limit)
    drift = isinstance(limit.measure, Difference) and limit.measure.both_ways
    low = one_sided(limit.measure, within if drift else beyond)[0]
    high = one_sided(limit.measure, within)[1]
    ends = sorted((_seen(limit, low), _seen(limit, high)))
    scale, bound = _scale(limit), _policy_bound(limit)
    spread = " to ".join(scale.value(end, bound) if isfinite(end) else "any" for end in ends)
    units = _UNITS.get(limit.key, "cases")
    what = f"no number of {units} would decide at this value"
    if needed is not None:
        what = f"about {needed} {units} would decide"
    return f"{_told(limit, f'from {spread}')} is not proven on either side of {_bound(limit)}: {what}"


def _scale(limit: Limit) -> _Scale:
    if limit.mirrored:
        return _R if limit.check is None else _AGREEMENT
    if limit.key == "max_refusal_drift":
        return _DRIFT
    return _RATIO if isinstance(limit.measure, Ratio) else _SHARE


def _seen(limit: Limit, value: float) -> float:
    """A measured value as the policy speaks of it."""
    return 1 - value if limit.mirrored else value


def _policy_bound(limit: Limit) -> float:
    return _seen(limit, limit.measure.bound) if limit.measure is not None else 0.0


def _bound(limit: Limit) -> str:
    return _scale(limit).bound(_policy_bound(limit))


def _write(limit: Limit, value: float) -> str:
    return _scale(limit).value(_seen(limit, value), _policy_bound(limit))


def _range(limit: Limit, interval: Interval) -> str:
    if isinstance(limit.measure, Ratio):
        return f"{interval.low:.2f}-{interval.high:.2f}"
    if limit.mirrored:
        interval = Interval(1 - interval.high, 1 - interval.low, interval.method)
    return percent_range(interval)


def _told(limit: Limit, spread: str) -> str:
    """What was measured, without the limit; the spread stands behind the value that is judged."""
    measure = limit.measure
    more = f", {spread}" if spread else ""
    if measure is None:
        return limit.key
    value = _write(limit, measure.value)
    if limit.mirrored:
        return _robustness(limit, value, spread) if limit.check is None else _agreement(limit, value, more)
    if limit.key in INDICATOR_WORDS and isinstance(measure, Difference):
        before, after = percent(fmean(measure.second)), percent(fmean(measure.first))
        return f"{INDICATOR_WORDS[limit.key]} {before} → {after}: change {value}" + (f" ({spread})" if spread else "")
    if isinstance(measure, Ratio):
        before, after = f"{fmean(measure.second):.1f}", f"{fmean(measure.first):.1f}"
        return f"mean output tokens {before} → {after}: ratio {value}" + (f" ({spread})" if spread else "")
    what = "PASS→FAIL" if limit.key == "max_pass_to_fail" else "clusters PASS→FAIL"
    if limit.candidate is not None and limit.floor is not None:
        candidate, floor = _counted(limit.candidate), _counted(limit.floor)
        return f"{what} {candidate}, noise floor {floor}: excess {value}" + (f" ({spread})" if spread else "")
    counted = _counted(measure, value) if isinstance(measure, Share) else value
    return f"{what} {counted.removesuffix(')')}{more})"


def _robustness(limit: Limit, value: str, spread: str) -> str:
    told = f"robustness R {value}"
    if limit.candidate is not None and limit.floor is not None:
        candidate, floor = measured(1 - limit.candidate.value, 3), measured(1 - limit.floor.value, 3)
        told = f"robustness R {candidate}, of the reference against itself {floor}: net {value}"
    return f"{told} ({spread})" if spread else told


def _agreement(limit: Limit, value: str, more: str) -> str:
    told = f"agreement of {limit.check} with people {value}"
    if limit.reference is None or not isinstance(limit.measure, Share):
        return told
    if len(set(limit.measure.weights)) > 1:
        told += " weighted"
    before = percent(1 - limit.reference.value, limit=_policy_bound(limit))
    return f"{told} ({agreed(limit.measure)}{more}; on the reference {before}, {agreed(limit.reference)})"


def agreed(wrong: Share) -> str:
    """On how many labels check and people agree: ``57 of 60 labels``."""
    return f"{wrong.cases - round(fsum(wrong.values))} of {wrong.cases} labels"


def _counted(share: Share, value: str | None = None) -> str:
    return f"{round(fsum(share.values))} of {share.cases} ({value or percent(share.value)})"
