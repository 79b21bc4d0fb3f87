"""What holds for all unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from pytest_quantgate.paths import CACHE_VARIABLE

# on any machine, under any load: an example may take as long as it takes
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="package", autouse=True)
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read that other runs left in the user's cache folder, and nothing is left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
