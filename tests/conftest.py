"""What holds for all tests."""

from __future__ import annotations

import gc
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_quantgate.report import store
from pytest_quantgate.report.model import RunReport
from tests.served import TINY_INSTRUCT, serving
from tests.unit.report.valid import problems


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Garbage is collected around each model, and need not be looked for in all that was collected and imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_chance() -> None:
    """What a test draws without a seed is the same whatever ran before it, in whichever worker."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def served_tiny() -> Iterator[str]:
    """The address of the shipped tiny model, served in full precision; starting it takes seconds."""
    with serving(TINY_INSTRUCT, "--dtype", "float32") as url:
        yield f"{url}#{TINY_INSTRUCT}"


@pytest.fixture(scope="session", autouse=True)
def reports_keep_their_schema() -> Iterator[None]:
    """Every report that a test writes to a file is as the published JSON Schema says."""
    found: list[str] = []
    write = store.write

    def write_and_look(report: RunReport, path: Path) -> None:
        write(report, path)
        found.extend(f"{path}: {problem}" for problem in problems(json.loads(path.read_text(encoding="utf-8"))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", write_and_look)
        patch.delenv("GITHUB_ACTIONS", raising=False)  # runs inside of tests are no steps of the build that tests them
        yield
    assert found == [], "reports that the published schema does not allow"
