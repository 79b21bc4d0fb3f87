"""What the plugin costs a test run that does not use it.

Each figure is the median over fresh interpreters: importing the plugin in a process where pytest is loaded
already (as it is when pytest loads plugins), and a whole pytest session of one empty test with and without it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORT = """
import json, sys, time
import pytest
before = set(sys.modules)
started = time.perf_counter()
import pytest_quantgate.plugin
seconds = time.perf_counter() - started
print(json.dumps([seconds, sorted(set(sys.modules) - before)]))
"""


def imported(runs: int) -> tuple[float, list[str]]:
    """Median seconds to import the plugin, and the modules that it brings in."""
    command = [sys.executable, "-c", IMPORT]
    answers = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(runs)]
    return statistics.median(seconds for seconds, _ in answers), answers[0][1]


def session(folder: Path, runs: int, *options: str) -> float:
    """Median seconds of a whole pytest session over one empty test."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="fresh interpreters per figure (default: 15)")
    runs = parser.parse_args().runs

    seconds, modules = imported(runs)
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {runs}")
    print(f"import pytest_quantgate.plugin     {seconds * 1000:7.1f} ms   {', '.join(modules)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        print(f"session without the plugin         {session(folder, runs, '-p', 'no:quantgate') * 1000:7.1f} ms")
        print(f"session with the plugin, not used  {session(folder, runs) * 1000:7.1f} ms")
    if "torch" in modules:
        sys.exit("the plugin imports torch")


if __name__ == "__main__":
    main()
