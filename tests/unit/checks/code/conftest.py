"""What the tests of the sandbox share: grading code, and proof that nothing of it stays behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_quantgate.checks.code import seccomp
from pytest_quantgate.checks.code.sandbox import Job, run
from pytest_quantgate.checks.finding import Finding

Run = Callable[..., Finding]


@pytest.fixture(autouse=True)
def _confinable() -> None:
    if not seccomp.supported():
        pytest.skip("code cannot be confined on this system")


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which answers get their folders."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def run_code(own_tmp: Path) -> Iterator[Run]:
    """Run code against ``assert True``; afterwards nothing runs and nothing is left."""
    before = set(psutil.Process().children(recursive=True))

    def run_one(answer: str, tests: str = "assert True", **more: object) -> Finding:
        return run(Job(answer=answer, tests=tests, **more))  # type: ignore[arg-type]

    yield run_one
    assert set(psutil.Process().children(recursive=True)) <= before
    assert [process for process in psutil.process_iter(["cmdline"]) if str(own_tmp) in str(process.info)] == []
    assert list(own_tmp.iterdir()) == []
