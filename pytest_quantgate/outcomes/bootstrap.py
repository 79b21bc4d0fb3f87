"""BCa bootstrap of a ratio of sums, resampled by cluster.

scipy's bootstrap serves as the test oracle. It is not used here because its jackknife takes every group out of a copy
of all the others, which is quadratic in their number, while the sums of the others are known at once.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from math import fsum, isfinite
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from pytest_quantgate.checks.remembered import remembered
from pytest_quantgate.outcomes.intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

RESAMPLES: Final = 2000
SEED: Final = 20_260_401
"""Fixed, so that the same answers give the same report."""

_BATCH: Final = 1_000_000  # numbers held at once
_ROUNDING: Final = 1e-12  # relative: ratios nearer to each other are the same


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    groups: Sequence[Hashable],
    confidence: float = CONFIDENCE,
) -> Interval | None:
    """BCa interval (Efron 1987) of sum(numerators) / sum(denominators), whole groups being resampled.

    A mean is the case of all denominators 1. What was found is kept across runs: numpy is only imported for
    new values.

    Args:
        numerators: One per case.
        denominators: One per case, at least 0.
        groups: What each case shares with others; a group's cases come and go together.
        confidence: Two-sided coverage, between 0 and 1.

    Returns:
        The interval, the same for every order of the cases. None where there is nothing to estimate it from:
        fewer than two groups, no variation, a resample without a denominator, or resamples that nearly all lie on one
        side of the measured ratio.
    """
    totals = group_totals(numerators, denominators, groups)
    if len(set(totals)) < 2:  # noqa: PLR2004  (nothing varies)
        return None
    ends = remembered("interval", [totals, confidence], lambda: _ends(totals, confidence), _are_ends)
    return Interval(ends[0], ends[1], "BCa bootstrap") if ends else None


def group_totals(
    numerators: Sequence[float], denominators: Sequence[float], groups: Sequence[Hashable]
) -> list[tuple[float, float]]:
    """Sums of numerators and denominators of each group, sorted, so that the order of the cases cannot show.

    Raises:
        ValueError: The three differ in length.
    """
    found: defaultdict[Hashable, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for numerator, denominator, group in zip(numerators, denominators, groups, strict=True):
        found[group][0].append(numerator)
        found[group][1].append(denominator)
    return sorted((fsum(tops), fsum(bottoms)) for tops, bottoms in found.values())


def _are_ends(found: Any) -> bool:
    if not (type(found) is list and all(type(end) is float and isfinite(end) for end in found)):
        return False
    return not found or (len(found) == 2 and found[0] <= found[1])  # noqa: PLR2004  (of an interval)


def _ends(totals: Sequence[tuple[float, float]], confidence: float) -> list[float]:
    """Low and high end of the interval; nothing where there is none."""
    import numpy as np

    tops, bottoms = np.array(totals, dtype=np.float64).T
    top, bottom = _resampled(tops, bottoms)
    other_tops, other_bottoms = tops.sum() - tops, bottoms.sum() - bottoms
    if (bottom <= 0).any() or (other_bottoms <= 0).any():
        return []
    return _bca(float(tops.sum() / bottoms.sum()), top / bottom, other_tops / other_bottoms, confidence)


def _resampled(tops: Floats, bottoms: Floats) -> tuple[Floats, Floats]:
    """Sums of numerators and of denominators of each resample."""
    import numpy as np

    ones = bool((bottoms == 1).all())  # a mean over cases that stand alone: every sum is their number
    found = []
    for drawn in _drawn(len(tops)):
        sums = np.full(len(drawn), float(len(tops))) if ones else bottoms[drawn].sum(axis=1)
        found.append((tops[drawn].sum(axis=1), sums))
    top, bottom = zip(*found, strict=True)
    return np.concatenate(top), np.concatenate(bottom)


def _drawn(groups: int) -> Iterable[Ints]:
    """Places of the groups that each resample draws, in parts of so many resamples as fit into a batch."""
    rows = max(1, _BATCH // groups)
    return _drawn_at_once(groups) if rows >= RESAMPLES else _draw(groups, rows)


@lru_cache(maxsize=1)
def _drawn_at_once(groups: int) -> tuple[Ints, ...]:
    """The same for all values of one slice, of which there are several."""
    return tuple(_draw(groups, RESAMPLES))


def _draw(groups: int, rows: int) -> Iterator[Ints]:
    import numpy as np

    chance = np.random.default_rng(SEED)
    for start in range(0, RESAMPLES, rows):
        yield chance.integers(0, groups, (min(rows, RESAMPLES - start), groups))


def _bca(point: float, resampled: Floats, jackknife: Floats, confidence: float) -> list[float]:
    """Bias-corrected and accelerated percentiles of the resampled ratios."""
    import numpy as np

    normal = NormalDist()
    tied = np.abs(resampled - point) <= _ROUNDING * abs(point)
    below = float(np.mean((resampled < point) & ~tied) + np.mean(tied) / 2)
    off = jackknife.mean() - jackknife
    largest = float(np.abs(off).max())
    z = normal.inv_cdf((1 + confidence) / 2)
    if tied.all() or largest == 0 or not normal.cdf(-z) < below < normal.cdf(z):
        return []
    bias = normal.inv_cdf(below)
    off /= largest  # the acceleration has no unit, and powers of small numbers vanish
    acceleration = float((off**3).sum()) / (6 * float((off**2).sum()) ** 1.5)
    shares = []
    for wanted in (bias - z, bias + z):
        stretched = 1 - acceleration * wanted
        if stretched <= 0:
            return []
        shares.append(normal.cdf(bias + wanted / stretched))
    low, high = (float(end) for end in np.quantile(resampled, shares))
    return [min(low, point), max(high, point)]
