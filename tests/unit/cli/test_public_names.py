from __future__ import annotations

import subprocess
import sys

import pytest

import pytest_quantgate


def test_public_names_are_sorted() -> None:
    assert pytest_quantgate.__all__ == sorted(pytest_quantgate.__all__)


@pytest.mark.parametrize("name", pytest_quantgate.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(pytest_quantgate, name).__module__.startswith("pytest_quantgate.")
    assert name in dir(pytest_quantgate)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        getattr(pytest_quantgate, "Nothing")  # noqa: B009  (the type checker knows that it is not there)


def test_no_public_name_imports_torch() -> None:
    code = "import sys; from pytest_quantgate import *; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
