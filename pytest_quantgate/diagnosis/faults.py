"""What went wrong in a part of a diagnosis, whose other parts hold all the same; no torch."""

from __future__ import annotations

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.variants.memory import is_out_of_memory


def fault_of(error: Exception) -> str:
    """One sentence without its full stop.

    Args:
        error: Of the project, of a library, or a sign that memory ran out.
    """
    if is_out_of_memory(error):
        return "memory ran out"
    if isinstance(error, QuantgateError):
        return error.what
    return f"internal error: {type(error).__name__}: {error}"


def without_frames(error: QuantgateError) -> QuantgateError:
    """The same error without what it came of: the frames of a traceback hold models.

    Args:
        error: Is changed.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
