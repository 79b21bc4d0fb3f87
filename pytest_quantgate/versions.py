"""Versions of what is installed, for identities and for what is kept."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

NOT_INSTALLED: Final = "none"


def version_of(distribution: str) -> str:
    """The version of a distribution; ``none`` where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return NOT_INSTALLED
