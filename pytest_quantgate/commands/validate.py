"""`quantgate validate`: every mistake in slice files, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.commands.slices import slices_of
from pytest_quantgate.plural import counted
from pytest_quantgate.printable import visible


def validate(paths: Sequence[Path]) -> str:
    """Load every slice file that is named or lies below a folder that is named.

    Args:
        paths: Files and folders.

    Returns:
        One line per slice, for people.

    Raises:
        SliceError: With every problem of every file.
        UsageError: When a path does not exist or holds no slice file.
    """
    slices = slices_of(paths, (), builtin_registry())
    return "\n".join(
        visible(f"{item.location.path}: {item.name}, {counted(len(item.cases), 'case')}") for item in slices
    )
