"""Runs in processes of their own: killed, beside each other, and with everything cached."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantgate.generation.cache import SCHEMA_VERSION, CompletionCache
from tests.integration.conftest import Lab

pytestmark = pytest.mark.alone(reason="what it tests are the processes of whole runs, which it starts itself")

KILLED = 6
"""Answers that are stored when the run is killed."""

KILL = f"""
import os, signal
from pytest_quantgate.generation.cache import CompletionCache

put, stored = CompletionCache.put, 0

def put_and_die(self, identity, completions):
    global stored
    put(self, identity, completions)
    stored += len(completions)
    if stored >= {KILLED}:
        os.kill(os.getpid(), signal.SIGKILL)

CompletionCache.put = put_and_die
"""

PROBE = """
import sys, pytest
status = pytest.main(sys.argv[1:])
print("imported", [name for name in ("torch", "transformers", "bitsandbytes") if name in sys.modules])
sys.exit(status)
"""


def command(lab: Lab, *arguments: str) -> list[str]:
    words = ["-p", "no:hypothesispytest", f"--quant-model={lab.tiny.folder}", "--quant-cand=nf4", *arguments]
    return [sys.executable, "-c", PROBE, *words]


def run(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(lab, *arguments), capture_output=True, text=True, check=False)


def test_a_process_that_ends_looks_for_no_more_garbage(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makeconftest("import atexit, gc\natexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))")
    done = run(lab, "--quant-dry-run")
    assert done.stdout.splitlines()[-1] == "frozen True", done.stdout + done.stderr


@pytest.mark.usefixtures("empty_cache")
def test_what_stays_is_not_searched_for_garbage_unless_a_model_was_loaded(lab: Lab) -> None:
    lab.write("words", lab.many(2))
    lab.pytester.makeconftest("import gc\ndef pytest_runtest_setup(): print('frozen', gc.get_freeze_count() > 0)")
    first, cached = run(lab, "-s"), run(lab, "-s")
    assert ("frozen False" in first.stdout, "frozen True" in first.stdout) == (True, False), first.stdout + first.stderr
    assert ("frozen False" in cached.stdout, "frozen True" in cached.stdout) == (False, True), cached.stdout


def test_a_killed_run_loses_at_most_what_was_in_flight(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.of_many_lengths(40))
    conftest = lab.pytester.makeconftest(KILL)
    killed = run(lab)
    assert killed.returncode == -9, killed.stdout + killed.stderr
    with CompletionCache(empty_cache / f"completions-{SCHEMA_VERSION}.sqlite3") as kept:
        stored = kept.info().completions
    assert KILLED <= stored < 40
    conftest.unlink()
    again = run(lab)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"fp16: {40 - stored} answers to generate, {stored} cached" in again.stdout
    assert "nf4: 40 answers to generate, 0 cached" in again.stdout


def test_two_runs_share_the_cache(lab: Lab, empty_cache: Path) -> None:
    lab.write("words", lab.many(8))
    runs = [
        subprocess.Popen(
            command(lab, f"--basetemp=tmp{number}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(2)
    ]
    for each in runs:
        out, err = each.communicate()
        assert each.returncode == 0, out + err
        assert "warning" not in out
    with CompletionCache(empty_cache / f"completions-{SCHEMA_VERSION}.sqlite3") as kept:
        assert kept.info().completions == 16


def test_a_run_with_everything_cached_imports_no_torch(lab: Lab) -> None:
    lab.write("words", lab.many(8, degraded=1), max_pass_to_fail=0.0)
    done = run(lab)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "imported []" in done.stdout
