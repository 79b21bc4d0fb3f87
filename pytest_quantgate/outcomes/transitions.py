"""How many cases moved which way, and the rates that follow from the four counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantgate.outcomes.model import Transition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantgate.outcomes.model import Comparison


@dataclass(frozen=True, slots=True)
class TransitionCounts:
    """Scored cases by transition, and the metrics that follow; each of those is None where it is undefined, never 0.

    Public: `TransitionCounts(pp=224, ff=633, pf=83, fp=60).stability` is 0.857.

    Attributes:
        pp: PASS→PASS, preserved.
        ff: FAIL→FAIL, failing before and after.
        pf: PASS→FAIL, degraded.
        fp: FAIL→PASS, improved.

    Raises:
        TypeError: A count is not an int.
        ValueError: A count is negative.
    """

    pp: int
    ff: int
    pf: int
    fp: int

    def __post_init__(self) -> None:
        for name, value in (("pp", self.pp), ("ff", self.ff), ("pf", self.pf), ("fp", self.fp)):
            if type(value) is not int:  # a bool is an int too, and no count
                msg = f"{name} counts cases: {value!r} is not an int"
                raise TypeError(msg)
            if value < 0:
                msg = f"{name} counts cases: {value} is negative"
                raise ValueError(msg)

    @property
    def n(self) -> int:
        """Scored cases."""
        return self.pp + self.ff + self.pf + self.fp

    @property
    def unstable(self) -> int:
        """Cases that changed either way."""
        return self.pf + self.fp

    @property
    def stability(self) -> float | None:
        """(PP + FF) / n, in [0, 1]: the share of cases that did not change."""
        return _share(self.pp + self.ff, self.n)

    @property
    def pass_to_fail_rate(self) -> float | None:
        """PF / n, in [0, 1]; the denominator is all scored cases, as in the paper."""
        return _share(self.pf, self.n)

    @property
    def loss_rate(self) -> float | None:
        """PF / (PP + PF), in [0, 1]: of what the reference could do, the share lost; None when it passes nothing."""
        return _share(self.pf, self.pp + self.pf)

    @property
    def net_change(self) -> float | None:
        """(FP - PF) / n, in [-1, 1]: the change of the pass rate."""
        return _share(self.fp - self.pf, self.n)

    @property
    def reference_pass_rate(self) -> float | None:
        """(PP + PF) / n, in [0, 1]."""
        return _share(self.pp + self.pf, self.n)

    @property
    def candidate_pass_rate(self) -> float | None:
        """(PP + FP) / n, in [0, 1]."""
        return _share(self.pp + self.fp, self.n)


def count(comparisons: Iterable[Comparison]) -> TransitionCounts:
    """Count the transitions of all scored comparisons; unscored ones enter no count."""
    found = Counter(comparison.transition for comparison in comparisons)
    return TransitionCounts(
        pp=found[Transition.PRESERVED],
        ff=found[Transition.FAILING],
        pf=found[Transition.DEGRADED],
        fp=found[Transition.IMPROVED],
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
