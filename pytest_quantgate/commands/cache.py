"""`quantgate cache`: what is kept, and forgetting it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pytest_quantgate.checks.judge.verdicts import VerdictCache, verdict_folder
from pytest_quantgate.checks.remembered import default_path, forget
from pytest_quantgate.errors import UsageError
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.paths import CACHE_VARIABLE

LONGEST = 36_500
"""Days of --older-than at most: a hundred years."""


def info() -> str:
    """What is kept, how much of it, and where: answers, what slow libraries found, and verdicts of judges."""
    lines = [_answers()]
    size = _bytes(default_path())
    if size:
        lines.append(f"{default_path()}: what slow checks found, {_megabytes(size)}")
    verdicts = VerdictCache(verdict_folder()).count()
    if verdicts:
        lines.append(f"{verdict_folder()}: {_count(verdicts, 'verdict')} of judges")
    return "\n".join(lines)


def _answers() -> str:
    path = default_cache_path()
    if not _is_there(path):  # opening it would make it
        return f"{path}: no answers are kept yet"
    with CompletionCache(path) as cache:
        held = cache.info()
    counted = f"{_count(held.completions, 'answer')} of {_count(held.variants, 'variant')}"
    return f"{path}: {counted}, {_megabytes(held.bytes)}"


def days_of(given: int | None) -> int | None:
    """The days of --older-than, if they are given.

    Raises:
        UsageError: They are none, or too many.
    """
    if given is not None and not 1 <= given <= LONGEST:
        raise UsageError(f"not {given}", where="--older-than", hint=f"give days, at least 1 and at most {LONGEST:,}")
    return given


def clear(days: int | None = None) -> str:
    """Forget every answer and verdict, or those that were not used for long, and all that slow libraries found.

    Converted models stay, as they cost minutes and are bound to their file's digest.

    Args:
        days: Keep what was used in so many days; None forgets all.
    """
    forget(default_path())
    kept = VerdictCache(verdict_folder())
    verdicts = kept.clear() if days is None else kept.clear_unused(days)
    forgotten = f"\n{verdict_folder()}: {_count(verdicts, 'verdict')} of judges forgotten" if verdicts else ""
    return _clear_answers(days) + forgotten


def _clear_answers(days: int | None) -> str:
    path = default_cache_path()
    if not _is_there(path):
        return f"{path}: no answers were kept"
    with CompletionCache(path) as cache:
        count = cache.clear() if days is None else cache.clear_unused(days)
        return f"{path}: {_count(count, 'answer')} forgotten"


def _bytes(path: Path) -> int:
    """Size of a file; 0 where there is none, or nobody can tell."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder above it that may not be entered
        hint = f"set {CACHE_VARIABLE} to a folder that can be read and written"
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path), hint=hint) from None


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
