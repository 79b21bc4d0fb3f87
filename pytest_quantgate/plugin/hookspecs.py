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

            from pytest_quantgate.checks.finding import Finding

            def ends_with(answer: str, *, text: str) -> Finding:
                return Finding(answer.endswith(text), f"looked for {text}")

            def pytest_quantgate_register_checks(registry):
                registry.register("ends_with", ends_with, shorthand="text")

        and in a slice file ``checks: [ends_with: "."]``.
    """


def pytest_quantgate_register_backends(registry: BackendRegistry) -> None:
    """Add spec names of your own, before the variants are prepared.

    Args:
        registry: The backends by spec name; the built-in ones are there already.

    Example:
        ``my_backend.py`` has an object whose ``describe(spec)`` says how a variant of that spec is loaded; it is
        imported when a spec names it. Here another name for fp16::

            from pytest_quantgate.variants.plain import BACKEND as PLAIN
            from pytest_quantgate.variants.spec import VariantSpec

            class Half:
                def describe(self, spec):
                    return PLAIN.describe(VariantSpec("fp16"))

            BACKEND = Half()

        In a ``conftest.py`` at the root of your tests, or in a plugin::

            from pytest_quantgate.variants.registry import Entry

            def pytest_quantgate_register_backends(registry):
                registry.register("half", Entry("my_backend:BACKEND"))
    """
