from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from pytest_quantgate.cli import main
from pytest_quantgate.commands.init import SETTINGS, find_configuration

SLICE = Path("quant", "first.slice.yaml")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_empty_folder_gets_a_slice_and_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    assert "wrote  quant/first.slice.yaml" in out
    assert "wrote  pytest.ini" in out
    assert "pytest quant --quant-cand nf4" in out
    written = configparser.ConfigParser()
    written.read("pytest.ini")
    assert dict(written["pytest"]) == SETTINGS


def test_the_slice_that_is_written_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    assert main(["validate", "quant"]) == 0
    assert "quant/first.slice.yaml: first, 7 cases" in capsys.readouterr().out


def test_a_folder_that_is_named_is_made_and_entered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "new/project"]) == 0
    assert Path("new/project", SLICE).is_file()
    assert "cd new/project" in capsys.readouterr().out


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    SLICE.parent.mkdir()
    SLICE.write_text("mine")
    Path("pytest.ini").write_text("[pytest]\nquant_model = mine\n")
    assert main(["init"]) == 0
    assert SLICE.read_text() == "mine"
    assert Path("pytest.ini").read_text() == "[pytest]\nquant_model = mine\n"
    out = capsys.readouterr().out
    assert "kept   quant/first.slice.yaml" in out
    assert "quant_ref = fp16" in out
    assert "quant_model =" not in out


def test_a_second_time_changes_nothing_and_asks_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["init"]) == 0
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    assert "add to" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "table"),
    [
        ("pytest.ini", "", "pytest"),
        (".pytest.ini", "[pytest]\n", "pytest"),
        ("pytest.toml", "[pytest]\n", "pytest"),
        ("pyproject.toml", "[tool.pytest]\n", "tool.pytest"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", "tool.pytest.ini_options"),
        ("tox.ini", "[tox]\n[pytest]\n", "pytest"),
        ("setup.cfg", "[tool:pytest]\n", "tool:pytest"),
    ],
)
def test_a_configuration_that_is_there_is_left_and_the_lines_to_add_are_shown(
    name: str, text: str, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_text(text)
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    assert f"kept   {name}: add to its [{table}]" in out
    assert ('quant_ref = "fp16"' if name.endswith(".toml") else "quant_ref = fp16") in out
    assert Path(name).read_text() == text
    assert name == "pytest.ini" or not Path("pytest.ini").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("pyproject.toml", "[project]\n"), ("tox.ini", "[tox]\n"), ("setup.cfg", "")]
)
def test_a_file_without_pytest_settings_is_no_configuration(name: str, text: str, tmp_path: Path) -> None:
    Path(name).write_text(text)
    assert find_configuration(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", b"= broken"),
        ("pyproject.toml", b"a = " + b"[" * 100_000),
        ("pytest.ini", b"[pytest]\nkey\n  continued\n"),
        ("tox.ini", b"no section"),
        ("setup.cfg", b"\xff"),
    ],
)
def test_a_broken_configuration_is_told_in_one_line(
    name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(name).write_bytes(content)
    assert main(["init"]) == 2
    assert capsys.readouterr().err.startswith(f"quantgate: {name}: ")


def test_a_configuration_of_another_encoding_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tox.ini").write_text("[pytest]\n", encoding="utf-16")
    assert main(["init"]) == 2
    assert capsys.readouterr().err == "quantgate: tox.ini: not UTF-8\n  save it as UTF-8, then run this again\n"


def test_a_tool_table_that_is_none_holds_no_configuration(tmp_path: Path) -> None:
    Path("pyproject.toml").write_text("tool = 3\n")
    assert find_configuration(tmp_path) is None


def test_a_place_that_is_a_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("taken").write_text("")
    assert main(["init", "taken"]) == 2
    assert "taken" in capsys.readouterr().err
