"""Hooks by which other plugins and conftest files add to pytest-quantgate."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.plugin.backends import BackendRegistry


def pytest_quantgate_register_checks(registry: CheckRegistry) -> None:
    """Add checks of your own, before the first slice file is loaded.

    Args:
        registry: The checks by name; the built-in ones are there already.

    Example:
        In a ``conftest.py`` at the root of your tests::

            def pytest_quantgate_register_checks(registry):
                registry.register(EndsWithFullStop())
    """


def pytest_quantgate_register_backends(registry: BackendRegistry) -> None:
    """Add spec names of your own, before the variants are prepared.

    Args:
        registry: The backends by spec name; the built-in ones are there already.

    Example:
        In a plugin module::

            def pytest_quantgate_register_backends(registry):
                registry.register(MyQuantizer())
    """
