"""In which order protections are tried. Imports torch: import it only to run models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pytest_quantgate.diagnosis.trials import Keeping, Protection, Trials

FINEST: Final = 16
"""A size is found to that share of the layers that the budget has room for."""

JOINED: Final = 3
"""So many protections are put together with the best one, each in turn."""

THINNED: Final = 12
"""Trials of leaving some layers out again."""

DECODED: Final = 3
"""Protections that are decoded at most."""

Orders = Callable[[Keeping], Mapping[str, Sequence[str]]]
"""Orders over the layers that gain by a precision, by how they came about."""


def screen_all(trials: Trials, keepings: Sequence[Keeping], orders: Orders, *, collapsed: bool) -> None:
    """Finds small protections that turn many points back.

    Each order is cut at the budget, in each precision. The best is cut shorter by halves as long as it loses nothing,
    put together with what turns other points back, thinned out, and tried in the other precisions.

    Args:
        trials: Where they are tried and kept.
        keepings: Precisions; the one that has room for most layers first.
        orders: Gives the orders.
        collapsed: Whether the candidate's computation collapsed: then it is given up after the first precision, unless
            half of the points turn back.

    Raises:
        TimeUpError: No time is left; what was tried holds.
    """
    for keeping in keepings:
        for way, order in orders(keeping).items():
            if names := trials.within_budget(order, keeping):
                trials.screen(names, keeping, way)
        if collapsed and not any(_wins(each, collapsed=True) for each in trials.screened):
            return
    best = trials.best
    if best is not None and _wins(best, collapsed=collapsed):
        _shorten(trials, best)
        _join(trials)
        _thin(trials)
        _recast(trials, keepings)


def promising(trials: Trials, *, collapsed: bool) -> tuple[Protection, ...]:
    """What is worth decoding and was not decoded yet, at most ``DECODED``, the best first.

    Beside it the one of most bits among those that win at least as much: it was thinned out by known answers alone, and
    whole answers may ask for more. Then the best in another precision.
    """
    known = {each.key for each in trials.decoded}
    winning = (each for each in trials.screened if _wins(each, collapsed=collapsed) and each.key not in known)
    won = sorted(winning, key=lambda each: each.merit, reverse=True)
    if not won:
        return ()
    largest = max((each for each in won if each.screened.net == won[0].screened.net), key=lambda each: each.trial.bits)
    others = (each for each in won if each.keeping.at != won[0].keeping.at)
    return tuple(dict.fromkeys((won[0], largest, *others, *won)))[:DECODED]


def _wins(protection: Protection, *, collapsed: bool) -> bool:
    """Whether it is worth going on with."""
    net, degraded = protection.screened.net, protection.trial.degraded
    return 2 * net >= degraded if collapsed else net > 0


def _shorten(trials: Trials, best: Protection) -> None:
    """Cut off its least important layers, by halves, as long as nothing is lost by it."""
    low, high = 0, len(best.names)
    while high - low > max(1, len(best.names) // FINEST):
        middle = (low + high) // 2
        shorter = trials.screen(best.names[:middle], best.keeping, best.trial.way)
        if shorter.screened.net >= best.screened.net:
            high = middle
        else:
            low = middle


def _join(trials: Trials) -> None:
    """Put the best together with those that turn other points back, which then has more to keep than either."""
    best = trials.best
    if best is None:
        return

    def missing(other: Protection) -> tuple[int, float]:
        return len(other.screened.turned - best.screened.turned), -other.trial.bits

    for other in sorted(trials.screened, key=missing, reverse=True)[:JOINED]:
        if other.screened.turned <= best.screened.turned:
            break
        both = trials.within_budget(dict.fromkeys((*best.names, *other.names)), best.keeping)
        trials.screen(both, best.keeping, f"{best.trial.way}, and {other.trial.way}")


def _thin(trials: Trials) -> None:
    """Leave out layers of the best as long as nothing is lost by it: first many together, the least important first."""
    best = trials.best
    if best is None:
        return
    left = THINNED
    size = len(best.names) // 2
    while size and left:
        end = len(best.names)
        while end > 0 and left:
            names = (*best.names[: max(0, end - size)], *best.names[end:])
            end -= size
            if not names:
                continue
            left -= 1
            thinner = trials.screen(names, best.keeping, best.trial.way)
            if thinner.screened.net >= best.screened.net:
                best = thinner
        size //= 2


def _recast(trials: Trials, keepings: Sequence[Keeping]) -> None:
    """Keep the layers of the best in each precision that the budget has room for, as far as they gain by it."""
    best = trials.best
    if best is None:
        return
    for keeping in keepings:
        names = trials.gaining(best.names, keeping)
        if names and trials.within_budget(names, keeping) == names:
            trials.screen(names, keeping, best.trial.way)
