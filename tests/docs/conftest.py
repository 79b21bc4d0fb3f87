"""One project for all pages, made once a test run and copied for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_quantgate.paths import CACHE_VARIABLE
from tests.docs.project import MODEL, build
from tests.docs.shell import Shell, environment_of_a_reader


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the project and of its answers; the processes of one test run share it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "docs-project"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            making = folder.with_name("docs-project-in-the-making")
            shutil.rmtree(making, ignore_errors=True)
            build(making / "project", making / "cache")
            making.rename(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, built: Path) -> Callable[[], None]:
    """Puts a fresh copy of the project, and of its answers, in place of what a page made of the last one."""

    def renew() -> None:
        for name in ("project", "cache"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
            shutil.copytree(built / name, tmp_path / name, symlinks=True)
        os.chdir(tmp_path / "project")

    return renew


@pytest.fixture
def shell(tmp_path: Path, project: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in a fresh copy of the project, with a copy of its answers."""
    environment_of_a_reader(monkeypatch)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)  # and back at the end
    project()
    return Shell(tmp_path / "project", monkeypatch, MODEL)
