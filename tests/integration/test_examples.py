"""Each example runs as its README says, in its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(example: str, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    # What the surrounding pytest was told does not concern the one that is started: without a cache of its own it finds
    # the embedded model where the user's runs keep it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "QUANTGATE_"))}
    if cache is not None:
        environment["QUANTGATE_CACHE_DIR"] = str(cache)
    return subprocess.run(
        command,
        cwd=EXAMPLES / example,
        env={**environment, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_first_slice_gates_ten_cases_and_runs_its_python_test(cache: Path, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    done = run("first_slice", "--quant-cand", "nf4", "--quant-report-json", str(report), cache=cache)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "candidate nf4 against reference fp16" in done.stdout
    (gate,) = json.loads(report.read_text())["gates"]
    assert (gate["slice"], gate["candidate"], gate["partial"]) == ("people", "nf4", False)
    assert gate["verdict"] in ("PASS", "FAIL")
    assert "test_people.py" in done.stdout


def test_first_slice_selects_by_tag(cache: Path) -> None:
    done = run("first_slice", "--quant-cand", "nf4", "-m", "four_keys", cache=cache)
    assert "partial selection: 2 of 10 cases" in done.stdout, done.stdout + done.stderr


def test_first_slice_without_a_candidate_runs_no_model(tmp_path: Path) -> None:
    done = run("first_slice", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert not (tmp_path / "cache").exists()


@pytest.mark.embedded
def test_nf4_gate_is_ready_to_run() -> None:
    # The run itself takes minutes: `make demo` does it.
    done = run("nf4_gate", "--quant-ref", "fp16", "--quant-cand", "nf4", "--quant-cand", "int8", "--quant-dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("format", "math", "refusals", "long-context"):
        assert name in done.stdout
