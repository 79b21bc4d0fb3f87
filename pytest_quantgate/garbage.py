"""Where Python does not look for cycles of garbage: among objects that stay it takes longer than what made them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Pause the search: with a million new values and no garbage it takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def keep_for_this_session() -> None:
    """Take what there is out of the search, to the end of the session.

    Not in a process that loaded a model: its memory must come back, and such a run has not a second to lose.
    """
    if "torch" not in sys.modules:
        gc.freeze()
