"""The suites that ship inside the package."""

from __future__ import annotations

import pytest

from pytest_quantgate.cases.suites import suite_files, suite_names
from pytest_quantgate.errors import UsageError


def test_core_is_a_built_in_suite() -> None:
    assert "core" in suite_names()


def test_files_of_a_suite_are_slice_files_in_order_of_their_names() -> None:
    files = suite_files("core")
    assert "long-context.slice.yaml" in {path.name for path in files}
    assert list(files) == sorted(files)
    assert all(path.is_file() for path in files)


@pytest.mark.parametrize("name", ["cor", "", "../core", "core/"])
def test_an_unknown_suite_is_an_error_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="core"):
        suite_files(name)
