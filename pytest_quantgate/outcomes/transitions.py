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
    """Scored cases by transition. Every rate is a share in [0, 1], and None where it is undefined.

    Attributes:
        pp: PASS→PASS, preserved.
        ff: FAIL→FAIL, failing before and after.
        pf: PASS→FAIL, degraded.
        fp: FAIL→PASS, improved.
    """

    pp: int
    ff: int
    pf: int
    fp: int

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
        """Share of cases that did not change: (PP + FF) / n."""
        return _share(self.pp + self.ff, self.n)

    @property
    def pass_to_fail_rate(self) -> float | None:
        """PF / n; the denominator is all scored cases, as in the paper (METRICS.md)."""
        return _share(self.pf, self.n)

    @property
    def loss_rate(self) -> float | None:
        """PF / (PP + PF): of what the reference could do, the share lost."""
        return _share(self.pf, self.pp + self.pf)

    @property
    def net_change(self) -> float | None:
        """(FP - PF) / n, in [-1, 1]: the change of the pass rate."""
        return _share(self.fp - self.pf, self.n)

    @property
    def reference_pass_rate(self) -> float | None:
        """(PP + PF) / n."""
        return _share(self.pp + self.pf, self.n)

    @property
    def candidate_pass_rate(self) -> float | None:
        """(PP + FP) / n."""
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
