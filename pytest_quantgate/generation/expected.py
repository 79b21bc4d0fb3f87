"""What a reference expects along its answers, and how near a candidate is to that; values, no torch."""

from __future__ import annotations

import base64
import binascii
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Self

TOP: Final = 64
"""Most probable tokens whose probabilities are kept; all others count as one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The reference's distribution in the place of each token of its own answer, cut to its most probable tokens.

    Attributes:
        token_ids: For each token of the answer, the most probable tokens in its place, the most probable first.
        log_probabilities: Theirs, in nats.
    """

    token_ids: tuple[tuple[int, ...], ...]
    log_probabilities: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, token_ids: Iterable[Sequence[int]], log_probabilities: Iterable[Sequence[float]]) -> Self:
        """From rows of numbers."""
        return cls(tuple(map(tuple, token_ids)), tuple(map(tuple, log_probabilities)))

    def to_json(self) -> dict[str, Any]:
        """As JSON values, numbers packed."""
        width = len(self.token_ids[0]) if self.token_ids else 0
        ids = array("i", (each for row in self.token_ids for each in row))
        values = array("f", (each for row in self.log_probabilities for each in row))
        return {"width": width, "token_ids": _packed(ids), "log_probabilities": _packed(values)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What ``to_json`` gave.

        Raises:
            ValueError: It is something else.
        """
        width = value.get("width")
        ids, values = _unpacked("i", value.get("token_ids")), _unpacked("f", value.get("log_probabilities"))
        if type(width) is not int or width < 1 or len(ids) != len(values) or len(ids) % width or not len(ids):
            raise ValueError("rows of another shape")
        if min(ids) < 0 or not all(map(isfinite, values)) or max(values) > 1e-3:  # noqa: PLR2004  (rounding)
            raise ValueError("no log-probabilities")
        rows = range(0, len(ids), width)
        return cls.of((ids[at : at + width] for at in rows), (values[at : at + width] for at in rows))


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a candidate's next-token distributions are to the reference's, along one answer of the reference.

    Attributes:
        tokens: Tokens of that answer; at least one.
        agreeing: In how many places both have the same most probable token.
        divergence: Mean Kullback-Leibler divergence from the reference's distribution P to the candidate's Q in nats a
            token, sum of P log(P / Q) over the reference's 64 most probable tokens and all others as one. By the log
            sum inequality it is never above that over all tokens.
    """

    tokens: int
    agreeing: int
    divergence: float


def _packed(numbers: array[Any]) -> str:
    if numbers.itemsize != 4:  # noqa: PLR2004
        raise ValueError("a platform with other numbers")
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _unpacked(code: str, text: object) -> array[Any]:
    numbers = array(code)
    if not isinstance(text, str):
        raise ValueError("no packed numbers")  # noqa: TRY004  (one error for whatever is wrong)
    try:
        numbers.frombytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise ValueError("no packed numbers") from None
    return numbers
