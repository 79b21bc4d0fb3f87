"""Length and loops of what was generated, by the room of outcomes; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Group, Value
from pytest_quantgate.outcomes.indicators import Name, paired

if TYPE_CHECKING:
    from pytest_quantgate.diagnosis.points import Point
    from pytest_quantgate.outcomes.model import Comparison

_INDICATORS: Final[dict[str, Name]] = {"answer_tokens": "length_ratio", "loop_rate": "loop_rate"}


def measured_answers(points: Sequence[Point], comparisons: Sequence[Comparison]) -> Measured:
    """Mean tokens of an answer, and the share of answers that repeat until cut off, of both variants.

    Over n answers a, mean length is (1/n) sum |a| in tokens, and the loop rate (1/n) #{a: a was cut off, and its text
    ends with u repeated k times, k >= ``LOOP_TIMES`` and k |u| >= ``LOOP_CHARACTERS``} (``outcomes.health``). Recall
    alone is no answer, and of a case with several turns each turn is one (``outcomes.indicators``). Zhou et al.,
    appendix E.3, look at both.

    Args:
        points: The cases, and which of them broke.
        comparisons: Their answers; others are passed over.
    """
    found = Measured()
    groups: tuple[Group, ...] = get_args(Group)
    for group in groups:
        wanted = {point.case_id for point in points if point.degraded == (group == "degraded")}
        those = [each for each in comparisons if each.case.id in wanted]
        for measure, indicator in _INDICATORS.items() if wanted else ():
            found += _measured(measure, group, those, indicator)
    return found


def _measured(measure: str, group: Group, those: Sequence[Comparison], indicator: Name) -> Measured:
    values = paired(indicator, those)
    if values.undefined is not None:
        return Measured(notes=(f"{measure} of {group} cases: {values.undefined}",))
    count = len(values.first)
    return Measured(
        values=(
            Value(measure, group, "reference", "answer", fmean(values.first), count),
            Value(measure, group, "candidate", "answer", fmean(values.second), count),
        )
    )
