"""Functions of ``scipy.special`` that gates need, kept across runs: importing it takes longer than all their values."""

from __future__ import annotations

from functools import lru_cache

from pytest_quantgate.checks.remembered import remembered

_MOST = 10_000
"""Values that a process keeps: a search asks for the same ones again and again."""


def betainc(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    return _value("betainc", float(a), float(b), float(x))


def betaincc(a: float, b: float, x: float) -> float:
    """Its complement 1 - I_x(a, b)."""
    return _value("betaincc", float(a), float(b), float(x))


def betaincinv(a: float, b: float, y: float) -> float:
    """The x of I_x(a, b) = y; not a number where scipy finds none."""
    return _value("betaincinv", float(a), float(b), float(y))


def betainccinv(a: float, b: float, y: float) -> float:
    """The x of 1 - I_x(a, b) = y; not a number where scipy finds none."""
    return _value("betainccinv", float(a), float(b), float(y))


def bdtr(k: int, n: int, p: float) -> float:
    """P(X ≤ k) of the binomial distribution."""
    return _value("bdtr", k, n, float(p))


def stdtr(freedom: int, t: float) -> float:
    """P(T ≤ t) of Student's distribution."""
    return _value("stdtr", freedom, float(t))


@lru_cache(_MOST)
def _value(name: str, *arguments: float) -> float:
    found: float = remembered(
        "probability", [name, *arguments], lambda: _worked_out(name, arguments), lambda each: type(each) is float
    )
    return found


def _worked_out(name: str, arguments: tuple[float, ...]) -> float:
    from scipy import special  # a fifth of a second

    return float(getattr(special, name)(*arguments))
