"""Why a variant of a run has no answers."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.printable import visible


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a variant has no answers.

    Attributes:
        reason: For people; the first line says what.
        details: A traceback when the fault is ours or a library's; empty when the user can act on the reason.
    """

    reason: str
    details: str = ""

    @property
    def headline(self) -> str:
        """The reason in one line."""
        return self.reason.partition("\n")[0]

    @classmethod
    def of(cls, error: Exception) -> Trouble:
        """What to tell of an exception."""
        if isinstance(error, QuantgateError):  # its words may be those of a model's files
            return cls(visible(str(error), keep="\n"))
        details = "".join(traceback.format_exception(error))
        return cls(visible(f"internal error: {type(error).__name__}: {error}", keep="\n"), visible(details, keep="\n"))
