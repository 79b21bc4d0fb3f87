"""Calls the hooks of other plugins; a fault in one of them is told in one line that names it."""

from __future__ import annotations

from traceback import walk_tb
from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.errors import QuantgateError

if TYPE_CHECKING:
    from pluggy import HookCaller


def call(config: pytest.Config, name: str, registry: object) -> None:
    """Let every plugin and conftest file add to a registry.

    Args:
        config: The session's configuration.
        name: Of the hook.
        registry: Its only argument.

    Raises:
        pytest.UsageError: One of them fails; with its file and line.
    """
    hook: HookCaller = getattr(config.hook, name)
    try:
        hook(registry=registry)
    except Exception as error:  # the code of other people
        what = str(error) if isinstance(error, QuantgateError) else f"{type(error).__name__}: {error}"
        msg = f"{_place(hook, error) or 'a plugin'}: {name} failed: {what}"
        raise pytest.UsageError(msg) from error


def _place(hook: HookCaller, error: Exception) -> str | None:
    """The line of the implementation that failed."""
    codes = {getattr(each.function, "__code__", None) for each in hook.get_hookimpls()}
    for frame, line in walk_tb(error.__traceback__):
        if frame.f_code in codes:
            return f"{frame.f_code.co_filename}:{line}"
    return None
