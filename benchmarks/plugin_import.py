"""What the plugin costs a test run that does not use it.

Each figure is the median over fresh interpreters: importing the plugin in a process where pytest is loaded
already (as it is when pytest loads plugins), and a whole pytest session of one empty test with and without it.
Byte code is compiled beforehand, as an installer does.
"""

from __future__ import annotations

import argparse
import compileall
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
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


def sessions(folder: Path, runs: int) -> tuple[float, float]:
    """Median seconds of a whole pytest session over one empty test: without the plugin, and with it unused."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):  # in turns, so that other work on the machine disturbs both alike
        for taken, options in zip(seconds, (["-p", "no:quantgate"], []), strict=True):
            started = time.perf_counter()
            subprocess.run([*command, *options], check=True, capture_output=True, cwd=folder)
            taken.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="fresh interpreters per figure (default: 15)")
    runs = parser.parse_args().runs

    package = find_spec("pytest_quantgate")
    for folder in package.submodule_search_locations or () if package else ():
        compileall.compile_dir(folder, quiet=1)
    seconds, modules = imported(runs)
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {runs}")
    print(f"import pytest_quantgate.plugin     {seconds * 1000:7.1f} ms   {', '.join(modules)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        without, unused = sessions(folder, runs)
    print(f"session without the plugin         {without * 1000:7.1f} ms")
    print(f"session with the plugin, not used  {unused * 1000:7.1f} ms")
    if "torch" in modules:
        sys.exit("the plugin imports torch")


if __name__ == "__main__":
    main()
