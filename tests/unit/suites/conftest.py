"""The registry by which the suites' answers are graded."""

from __future__ import annotations

import pytest

from pytest_quantgate.checks.registry import CheckRegistry
from tests.unit.suites.shipped import builtin


@pytest.fixture(scope="session")
def registry() -> CheckRegistry:
    return builtin()
