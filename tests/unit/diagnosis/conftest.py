"""What tests of the search share."""

from __future__ import annotations

import pytest

from tests.unit.diagnosis.broken_pair import Pair, broken_pair


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A candidate that says that all its layers have 3 bits, and two of them do; nothing may change it."""
    return broken_pair(tmp_path_factory)
