"""The pytest plugin: hooks of a few lines over the other rooms.

pytest imports this module in every session of everyone who has the package installed, so at import it
needs the standard library and pytest only, and it does nothing until a candidate is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_quantgate.plugin import settings

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.plugin.fixture import QuantCase

MARKER = (
    "quant_slice(*paths): run this test for every case of the slice files (paths from the test's own folder) "
    "and every candidate; the fixture quant_case holds the answers"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ``--quant-*`` options and their ini keys."""
    settings.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let other plugins add checks and backends."""
    from pytest_quantgate.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and everything else only when a candidate is named."""
    config.addinivalue_line("markers", MARKER)
    if settings.wanted(config):
        from pytest_quantgate.garbage import no_cycle_search

        with no_cycle_search():  # among what is imported
            from pytest_quantgate.plugin.start import install

            install(config)
    else:
        settings.refuse_idle(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test with the ``quant_slice`` marker one run per case and candidate."""
    if metafunc.definition.get_closest_marker("quant_slice") is not None:
        from pytest_quantgate.plugin.fixture import parametrize

        parametrize(metafunc)


@pytest.fixture
def quant_case(request: pytest.FixtureRequest) -> QuantCase:
    """One case with both answers: ``.case``, ``.reference``, ``.candidate``, ``.transition``.

    ``quant_case.assert_not_degraded()`` fails with both answers side by side. The test needs
    ``@pytest.mark.quant_slice("NAME.slice.yaml")`` and runs once per case and candidate.
    """
    from pytest_quantgate.plugin.fixture import case_of

    return case_of(request)


@pytest.fixture(scope="session")
def quant_checks(pytestconfig: pytest.Config) -> CheckRegistry:
    """The built-in checks and those of your conftest files and plugins, for ``pytest_quantgate.testing``.

    It needs no candidate: ``check_answer("my_check", "an answer", checks=quant_checks)``.
    """
    from pytest_quantgate.checks.builtin import builtin_registry
    from pytest_quantgate.plugin import hooks

    registry = builtin_registry()
    hooks.call(pytestconfig, "pytest_quantgate_register_checks", registry)
    return registry
