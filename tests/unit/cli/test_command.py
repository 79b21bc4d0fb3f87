from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_quantgate.cli import main

COMMANDS = (
    *("init", "validate", "power", "gate", "report", "diagnose", "compare", "cache", "sources", "checks", "grade"),
)


def help_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(["--help"], capsys)
    assert all(f"  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of([command, "--help"], capsys)
    assert f"\n  quantgate {command} " in text or f"\n  quantgate {command}\n" in text


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of(["--version"], capsys) == f"quantgate {version('pytest-quantgate')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal_of_100_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert max(map(len, help_of([command, "--help"], capsys).splitlines())) <= 100


def test_help_of_power_says_what_power_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_of(["power", "--help"], capsys).split())
    assert "Power is the chance that a test sees a fault that is there." in text


@pytest.mark.parametrize(
    "arguments",
    [[], ["grad"], ["grade"], ["cache"], ["cache", "shrink"], ["report"], ["compare", "a"], ["gate"], ["power", "-n"]],
)
def test_wrong_arguments_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: quantgate" in capsys.readouterr().err


def test_a_reader_that_closes_the_pipe_early_is_no_error(tmp_path: Path) -> None:
    line = '{"id": "a", "prompt": "p", "checks": [{"contains": "x"}], "response": "x"}\n'
    answers = tmp_path / "answers.jsonl"
    answers.write_text(line * 5000)
    command = [sys.executable, "-m", "pytest_quantgate.cli", "grade", str(answers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
