from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pytest_quantgate"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("pytest_quantgate-*.whl")
    return zipfile.Path(file)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.Path) -> None:
    names = wheel.root.namelist()
    packed = {name for name in names if name.startswith("pytest_quantgate/") and not name.endswith("/")}
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert packed == {path.relative_to(ROOT).as_posix() for path in files}


@pytest.mark.parametrize("name", ["py.typed", "commands/first.slice.yaml", "suites/core/format.slice.yaml"])
def test_the_wheel_holds_data_files(name: str, wheel: zipfile.Path) -> None:
    assert (wheel / "pytest_quantgate" / name).is_file()


def test_the_wheel_names_the_plugin_the_command_and_the_licence(wheel: zipfile.Path) -> None:
    (info,) = (path for path in wheel.iterdir() if path.name.endswith(".dist-info"))
    entry_points = (info / "entry_points.txt").read_text()
    assert "[pytest11]\nquantgate = pytest_quantgate.plugin\n" in entry_points
    assert "[console_scripts]\nquantgate = pytest_quantgate.cli:main\n" in entry_points
    assert "Apache License" in (info / "licenses" / "LICENSE").read_text()
