"""`quantgate cache`: what is kept, and forgetting it."""

from __future__ import annotations

from pathlib import Path

from pytest_quantgate.checks.judge.verdicts import VerdictCache, verdict_folder
from pytest_quantgate.checks.remembered import default_path, forget
from pytest_quantgate.errors import UsageError
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.paths import CACHE_VARIABLE


def info() -> str:
    """How many answers are kept, of how many variants, and where; and how many verdicts of judges."""
    verdicts = VerdictCache(verdict_folder()).count()
    return _answers() + (f"\n{verdict_folder()}: {_count(verdicts, 'verdict')} of judges" if verdicts else "")


def _answers() -> str:
    path = default_cache_path()
    if not _is_there(path):  # opening it would make it
        return f"{path}: no answers are kept yet"
    with CompletionCache(path) as cache:
        held = cache.info()
    size = f"{held.bytes / 1e6:.1f} MB"
    return f"{path}: {_count(held.completions, 'answer')} of {_count(held.variants, 'variant')}, {size}"


def clear() -> str:
    """Forget every answer and verdict, and what slow libraries found.

    Converted models stay, as they cost minutes and are bound to their file's digest.
    """
    forget(default_path())
    verdicts = VerdictCache(verdict_folder()).clear()
    forgotten = f"\n{verdict_folder()}: {_count(verdicts, 'verdict')} of judges forgotten" if verdicts else ""
    return _clear_answers() + forgotten


def _clear_answers() -> str:
    path = default_cache_path()
    if not _is_there(path):
        return f"{path}: no answers were kept"
    with CompletionCache(path) as cache:
        return f"{path}: {_count(cache.clear(), 'answer')} forgotten"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a folder above it that may not be entered
        hint = f"set {CACHE_VARIABLE} to a folder that can be read and written"
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path), hint=hint) from None


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
