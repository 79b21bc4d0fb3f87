"""Imported once, by the process that workers are forked from: what workers import.

pytest rewrites the assertions of plugins, and warns of those that were imported before it could: so a session imports.
"""

from __future__ import annotations

import gc
import os

import pytest

from tests.integration.workers import PLUGINS, only


class _Imports:
    def pytest_cmdline_main(self) -> int:
        """In place of a test run."""
        import faulthandler  # noqa: F401
        import pdb  # noqa: F401, T100

        import xdist.remote  # type: ignore[import-untyped]  # noqa: F401  (it ships no types)

        from pytest_quantgate.checks import builtin  # noqa: F401
        from pytest_quantgate.gate import judge  # noqa: F401
        from pytest_quantgate.generation import run  # noqa: F401
        from pytest_quantgate.plugin import backends, start, worker  # noqa: F401

        return 0


os.environ.update(only(*PLUGINS))
assert pytest.main([], plugins=[_Imports()]) == pytest.ExitCode.OK
gc.freeze()  # pytest collects garbage in each session, and need not look through all this
