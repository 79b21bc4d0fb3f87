"""How much Python runs: a measure of work that is the same on every machine and under any load."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def operations(work: Callable[[], object]) -> int:
    """Calls, returns and lines of Python while something works; each turn of a loop is one more line.

    What runs in C is not seen. The work is done twice, and counted the second time: the first one imports.
    """
    count = 0

    def trace(_frame: FrameType, _event: str, _value: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    work()
    before = sys.gettrace()
    gc.disable()  # what other tests left behind is not tidied up in the middle
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count
