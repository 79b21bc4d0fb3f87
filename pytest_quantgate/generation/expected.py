"""What a reference expects along its answers, and how near a candidate is to that; values, no torch."""

from __future__ import annotations

import base64
import binascii
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Self

TOP: Final = 64
"""Most probable tokens whose probabilities are kept; all others count as one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The reference's distribution in the place of each token of its own answer, cut to its most probable tokens.

    Attributes:
        width: How many tokens are known in each place; at least one.
        token_ids: Place by place the most probable tokens, the most probable first; ``width`` for each place.
        log_probabilities: Theirs, in nats, and last that of all others together; ``width + 1`` for each place.
    """

    width: int
    token_ids: array[int]
    log_probabilities: array[float]

    @classmethod
    def of(cls, width: int, token_ids: Iterable[int], log_probabilities: Iterable[float]) -> Self:
        """From numbers, place by place."""
        return cls(width, array("i", token_ids), array("f", log_probabilities))

    @property
    def tokens(self) -> int:
        """Tokens of the answer."""
        return len(self.token_ids) // self.width

    def to_json(self) -> dict[str, Any]:
        """As JSON values, numbers packed."""
        return {
            "width": self.width,
            "token_ids": _packed(self.token_ids),
            "log_probabilities": _packed(self.log_probabilities),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What ``to_json`` gave.

        Raises:
            ValueError: It is something else.
        """
        width = value.get("width")
        ids, values = _unpacked("i", value.get("token_ids")), _unpacked("f", value.get("log_probabilities"))
        if type(width) is not int or width < 1 or not len(ids) or len(values) * width != len(ids) * (width + 1):
            raise ValueError("rows of another shape")
        if min(ids) < 0 or not all(map(isfinite, values)) or max(values) > 1e-3:  # noqa: PLR2004  (rounding)
            raise ValueError("no log-probabilities")
        return cls(width, ids, values)


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
