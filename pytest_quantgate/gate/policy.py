"""What a gate tolerates, and who may say so: command line, slice file, ini, defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pytest_quantgate.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import PolicySettings


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What the gate of one slice tolerates; a value equal to its limit is tolerated.

    Attributes:
        max_pass_to_fail: Largest PASS→FAIL rate, in [0, 1].
        min_robustness: Smallest robustness coefficient R, in [0, 1].
        min_cases: Fewest scored cases that a verdict may rest on, at least 1.
        max_unscored: Largest share of unscored cases, in [0, 1].
    """

    max_pass_to_fail: float = 0.05
    min_robustness: float = 0.90
    min_cases: int = 30
    max_unscored: float = 0.05


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
    chosen: dict[str, float] = {}
    for where, settings in sources.items():
        for field in fields(settings):
            value = getattr(settings, field.name)
            if value is not None:
                _validate(field.name, value, where)
                chosen.setdefault(field.name, value)
    defaults = GatePolicy()
    return GatePolicy(
        max_pass_to_fail=chosen.get("max_pass_to_fail", defaults.max_pass_to_fail),
        min_robustness=chosen.get("min_robustness", defaults.min_robustness),
        min_cases=int(chosen.get("min_cases", defaults.min_cases)),
        max_unscored=chosen.get("max_unscored", defaults.max_unscored),
    )


def _validate(name: str, value: float, where: str) -> None:
    if name == "min_cases":
        if not isinstance(value, int) or value < 1:
            raise UsageError(f"{name} is {value}", where=where, hint="Give a whole number of cases, at least 1.")
    elif not 0 <= value <= 1:  # NaN compares false, so it is refused here too
        raise UsageError(f"{name} is {value:g}", where=where, hint="Give a share between 0 and 1; 5 percent is 0.05.")
