"""What the plugin costs a test run that does not use it.

Each figure is the median over fresh interpreters: importing the plugin in a process where pytest is loaded already
(as it is when pytest loads plugins), all of its hooks in a session of one empty test, and a whole such session with
and without it. Import and hooks are processor time, which other work on the machine disturbs least; they are what the
plugin costs, and fail this script above the limit. Byte code is compiled beforehand, as an installer does.
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
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LIMIT = 0.010
HOOKS = ("pytest_addoption", "pytest_addhooks", "pytest_configure", "pytest_generate_tests")
PROBE = """
import functools, json, sys, time
import pytest
before = set(sys.modules)
started = time.process_time()
import pytest_quantgate.plugin as plugin
imported = time.process_time() - started
modules = sorted(set(sys.modules) - before)
hooks = 0.0
def timed(hook):
    @functools.wraps(hook)
    def call(*arguments, **keywords):
        global hooks
        started = time.process_time()
        try:
            return hook(*arguments, **keywords)
        finally:
            hooks += time.process_time() - started
    return call
for name in HOOKS:
    setattr(plugin, name, timed(getattr(plugin, name)))
status = pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]])
print()
print(json.dumps([int(status), imported, hooks, modules]))
""".replace("HOOKS", repr(HOOKS))


@dataclass(frozen=True, slots=True)
class Cost:
    """What the plugin costs a session.

    Attributes:
        imported: Seconds to import it.
        hooks: Seconds in its hooks.
        modules: What the import brings in.
    """

    imported: float
    hooks: float
    modules: list[str]


def idle(folder: Path, runs: int) -> Cost:
    """Median processor seconds of the plugin in a session that does not use it."""
    command = [sys.executable, "-c", PROBE, str(folder)]
    found = []
    for _ in range(runs):
        ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
        status, *rest = json.loads(ended.stdout.splitlines()[-1])
        if status:
            sys.exit(ended.stdout)
        found.append(Cost(*rest))
    imported, hooks = (statistics.median(getattr(each, field) for each in found) for field in ("imported", "hooks"))
    return Cost(imported, hooks, found[0].modules)


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
        (folder / "pytest.ini").write_text("[pytest]\n")
        cost = idle(folder, runs)
        without, unused = sessions(folder, runs)
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {runs}")
    print(f"import pytest_quantgate.plugin     {cost.imported * 1000:7.1f} ms   {', '.join(cost.modules)}")
    print(f"its hooks in an idle session       {cost.hooks * 1000:7.1f} ms")
    print(f"session without the plugin         {without * 1000:7.1f} ms")
    print(f"session with the plugin, not used  {unused * 1000:7.1f} ms")
    if "torch" in cost.modules:
        sys.exit("the plugin imports torch")
    if cost.imported + cost.hooks > LIMIT:
        sys.exit(f"the plugin costs a session that does not use it more than {LIMIT * 1000:g} ms")


if __name__ == "__main__":
    main()
