"""Tests on a GPU: they run where torch finds one. QUANTGATE_TEST_DEVICE names another device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from pytest_quantgate.paths import CACHE_VARIABLE

HERE = Path(__file__).parent
NAMED = os.environ.get("QUANTGATE_TEST_DEVICE")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cuda)
            if NAMED is None and not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device"))


@pytest.fixture(scope="session")
def device() -> str:
    return NAMED or "cuda:0"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
