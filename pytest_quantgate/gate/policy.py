"""What a gate tolerates, and who may say so: command line, slice file, ini, defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from pytest_quantgate.cases.model import LARGEST_RATIO, Rule
from pytest_quantgate.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantgate.cases.model import PolicySettings


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What the gate of one slice tolerates; a value equal to its limit is tolerated.

    Attributes:
        rule: ``point`` goes by what was measured, ``evidence`` by what that proves.
        max_pass_to_fail: Largest PASS→FAIL rate, in [0, 1].
        min_robustness: Smallest robustness coefficient R, in [0, 1].
        min_cases: Fewest scored cases that a verdict may rest on, at least 1.
        max_unscored: Largest share of unscored cases, in [0, 1].
        max_cluster_pass_to_fail: Largest PASS→FAIL rate over clusters, in [0, 1]. This and all below are not
            judged when None.
        max_refusal_drift: Largest change of the refusal rate, up or down, in [0, 1].
        max_over_refusal_increase: Largest increase of the over-refusal rate, in [0, 1].
        max_format_retry_increase: Largest increase of the format-retry rate, in [0, 1].
        max_truncation_increase: Largest increase of the truncation rate, in [0, 1].
        max_loop_increase: Largest increase of the loop rate, in [0, 1].
        max_length_ratio: Largest ratio of mean output tokens, candidate to reference; above 0, at most 1e6.
        min_grader_agreement: Smallest share of the candidate's labelled answers on which each check agrees with
            people, in [0, 1].
        max_drift: Largest share of a variant's cases whose results differ from its own golden, in [0, 1]; judged by
            the drift gate alone, and only where there is a golden.
    """

    rule: Rule = "point"
    max_pass_to_fail: float = 0.05
    min_robustness: float = 0.90
    min_cases: int = 30
    max_unscored: float = 0.05
    max_cluster_pass_to_fail: float | None = None
    max_refusal_drift: float | None = None
    max_over_refusal_increase: float | None = None
    max_format_retry_increase: float | None = None
    max_truncation_increase: float | None = None
    max_loop_increase: float | None = None
    max_length_ratio: float | None = None
    min_grader_agreement: float | None = None
    max_drift: float = 0.02


def resolve_policy(
    command_line: PolicySettings, slice_: PolicySettings, ini: PolicySettings, *, slice_name: str | None = None
) -> GatePolicy:
    """Settle one slice's policy: each value from the first source that gives it, else the default.

    Args:
        command_line: What ``--quant-*`` options say; wins over the rest.
        slice_: The slice file's ``gate`` key.
        ini: What the ini keys say.
        slice_name: Names the slice in an error.

    Raises:
        UsageError: A value of any source is out of range or not a number, even one that is overridden.
    """
    sources = {
        "command line": command_line,
        f"gate of slice {slice_name}" if slice_name else "slice file": slice_,
        "ini file": ini,
    }
    chosen: dict[str, Any] = {}
    for where, settings in sources.items():
        validate(settings, lambda _, where=where: where)  # type: ignore[misc]
        for name, value in _given(settings).items():
            chosen.setdefault(name, value)
    return GatePolicy(**chosen)


def validate(settings: PolicySettings, where: Callable[[str], str]) -> None:
    """Refuse settings that no gate could go by.

    Args:
        settings: What one source says.
        where: Names the place where that source says it, given the key: ``--quant-min-cases``, ``pytest.ini:4``.

    Raises:
        UsageError: A value is of the wrong type, out of range, or not a number.
    """
    for name, value in _given(settings).items():
        hint = _hint(name, value)
        if hint is not None:
            shown = f"{value:g}" if isinstance(value, float) else f"{value!r:.60}"
            raise UsageError(f"{name} is {shown}", where=where(name), hint=hint)


def _given(settings: PolicySettings) -> dict[str, Any]:
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def _hint(name: str, value: object) -> str | None:
    """What would be right; None when the value is."""
    if name == "rule":
        known = get_args(Rule)
        return None if value in known else f"{nearest(str(value)[:60], known).capitalize()}."
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    # NaN compares false, so it is refused everywhere
    if name == "min_cases":
        return None if isinstance(number, int) and number >= 1 else "Give a whole number of cases, at least 1."
    if name == "max_length_ratio":
        hint = f"Give a ratio above 0, at most {LARGEST_RATIO:.0f}; 1.2 tolerates answers that are a fifth longer."
        return None if 0 < number <= LARGEST_RATIO else hint
    return None if 0 <= number <= 1 else "Give a share between 0 and 1; 5 percent is 0.05."
