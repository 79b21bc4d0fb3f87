"""How a variant's answers are made, apart from what they depend on in exact arithmetic.

Batch size, order, padding and kernels change the order in which numbers are summed, and so their last bits. A variant
that answers the same requests under two schedules shows how much of a difference between answers is noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Attention = Literal["eager"]

_ROWS = 7  # a usual batch has dozens, and no kernel is laid out for batches of seven
_PADDING = 5
_CHUNK = 512  # eager attention holds a number for each pair of positions and each head: a long prompt's would not fit


@dataclass(frozen=True, slots=True)
class Schedule:
    """How prompts are batched and computed.

    Attributes:
        max_rows: Most prompts that decode together; None for as many as memory allows.
        reverse: Whether the shortest prompts come first, not the longest.
        padding: Columns of left padding that each prefill has beyond what it needs.
        chunk: Most columns that one pass over prompts reads; None for whole prompts.
        share_beginnings: Whether a beginning that several prompts have in common is prefilled once.
        attention: The implementation of attention in transformers; None for the model's usual one.
    """

    max_rows: int | None = None
    reverse: bool = False
    padding: int = 0
    chunk: int | None = None
    share_beginnings: bool = True
    attention: Attention | None = None

    def __str__(self) -> str:
        """All that is not usual, for identities and people; ``usual`` when nothing is."""
        parts = [
            f"at most {self.max_rows} rows" if self.max_rows is not None else "",
            "shortest first" if self.reverse else "",
            f"{self.padding} columns of padding" if self.padding else "",
            f"chunks of {self.chunk} columns" if self.chunk is not None else "",
            "" if self.share_beginnings else "nothing shared",
            f"{self.attention} attention" if self.attention else "",
        ]
        return ", ".join(filter(None, parts)) or "usual"


USUAL = Schedule()


def name_of(spec: str, schedule: Schedule) -> str:
    """What people call a variant under a schedule; a spec has no spaces, so the name of another run is none."""
    return spec if schedule == USUAL else f"{spec} run another way"


def another_schedule(*, kernels: bool) -> Schedule:
    """A schedule that differs from the usual one wherever a deployment could.

    Args:
        kernels: Whether attention is computed by other kernels too.
    """
    return Schedule(
        max_rows=_ROWS,
        reverse=True,
        padding=_PADDING,
        chunk=_CHUNK,
        share_beginnings=False,
        attention="eager" if kernels else None,
    )
