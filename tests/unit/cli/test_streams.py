from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GRADED = 300
LINE = json.dumps({"id": "a", "prompt": "p", "checks": ["json"], "response": "1"})
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")


def run(tmp_path: Path, shell: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a line in which Q is the command, in a folder with two files of answers."""
    (tmp_path / "good.jsonl").write_text(f"{LINE}\n")
    (tmp_path / "mixed.jsonl").write_text(f"{LINE}\nnonsense\n" * GRADED)
    script = f"Q() {{ '{sys.executable}' -m pytest_quantgate.cli \"$@\"; }}\n{shell}"
    return subprocess.run(
        ["bash", "-c", script],  # noqa: S607  (any bash will do)
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("errors", ["2> >(head -n 1 > errors)", "2>&-", pytest.param("2>/dev/full", marks=needs_full)])
def test_nobody_reading_the_problems_loses_no_grade(errors: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"Q grade mixed.jsonl {errors}")
    assert done.stdout.count('"passed": true') == GRADED
    assert len(done.stdout.splitlines()) == GRADED
    assert done.returncode == 1


@needs_full
@pytest.mark.parametrize("command", ["--version", "grade good.jsonl", "init .", "cache info"])
def test_a_full_disk_is_not_blamed_on_the_input(command: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"Q {command} > /dev/full")
    assert done.stderr == "quantgate: standard output: cannot be written: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("grade - <&-", "quantgate: <stdin>: closed\n"),
        ("cache clear <&-", "quantgate: cannot ask without a terminal\n"),
        ("grade good.jsonl >&-", "quantgate: standard output is closed\n"),
    ],
)
def test_a_stream_that_is_closed_is_told(command: str, told: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"Q {command}")
    assert done.stderr.startswith(told)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize("command", ["grade", "validate", "report", "cache info"])
def test_a_name_that_is_an_escape_sequence_does_not_reach_the_terminal(command: str, tmp_path: Path) -> None:
    done = run(tmp_path, f"Q {command} $'\\x1b]0;title\\x07'")
    assert done.returncode == 2
    assert "\\x1b]0;title\\x07" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_name_before_a_line_number_is_made_visible_too(tmp_path: Path) -> None:
    done = run(tmp_path, "cp mixed.jsonl $'\\x1b]0;title\\x07' && Q grade $'\\x1b]0;title\\x07'")
    assert done.stderr.startswith("\\x1b]0;title\\x07:2: ")
    assert "\x1b" not in done.stderr
