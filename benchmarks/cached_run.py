"""What a run costs whose answers are all cached: 1,000 cases of packaged slices, two candidates, no model.

    python benchmarks/cached_run.py                # medians of three, in turns with a bare pytest run
    python benchmarks/cached_run.py --reports      # the same, and it writes the JSON and the HTML report

The slices are packaged ones; the reference's answers are the good ones of fixtures/suite_answers, with prose around
them where the checks allow that, so that they are as long as a model's. Candidates word most of them differently and
get some wrong. A private cache holds all of them under the identities of fp16, nf4 and int8 of the model in
fixtures/tiny_instruct, which is never loaded. Beside it the same pytest runs 3,000 empty parametrized tests: what a run
costs more than that is ours. Both run without the pytest plugin of Hypothesis, which users of quantgate need not have.
Fails when torch is imported and, without options, when the run takes more than 3 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Any

from speed import judge

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant

FIXTURES = Path(__file__).parents[1] / "fixtures"
MODEL = FIXTURES / "tiny_instruct" / "model"
SLICES = {
    "core": ("format", "math", "refusals"),
    "injection": ("injection",),
    "instructions": ("instructions",),
    "over-refusal": ("over-refusal",),
}
KEEPS = {"fp16": 1.0, "nf4": 0.93, "int8": 0.98}  # share of the answers that stay good
SAME = {"fp16": 1.0, "nf4": 0.1, "int8": 0.6}  # and of these, of those that stay as they are to the letter
EMPTY_TESTS = 3_000
MOST = 3.0  # seconds
HEAVY = ("torch", "transformers", "sympy", "math_verify", "matplotlib", "huggingface_hub", "scipy", "numpy", "rich")

# What may stand around an answer: of no consequence for the checks of the slices that are named in AROUND.
PROSE = (
    "Let us go through this one step after the other.",
    "The details depend on where you live and on how much time there is.",
    "Many people ask about it, and the usual advice is simple.",
    "Start with the part that is easiest to see, then look at the rest.",
    "Some of it can be done at home, some of it takes a little practice.",
    "It helps to write down what was tried and how it went.",
    "A friend who has done it before can tell you more.",
    "None of this takes long once everything is in place.",
)
BEFORE, AFTER = ("math",), ("refusals", "over-refusal")

PHASES = """
import json, os, sys, time
import pytest

marks = []
def mark(name):
    marks.append((name, time.time(), time.process_time()))

mark("start")

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    mark("imports")

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session):
    mark("setup")
    return (yield)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session):
    mark("collection")
    return (yield)

first = True
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    global first
    if first:
        mark("answers")
        first = False
    result = yield
    if nextitem is None:
        mark("items")
    return result

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    mark("gates")
    return (yield)

@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    mark("reports")
    heavy = [name for name in HEAVY if name in sys.modules]
    with open(os.environ["PHASES"], "w") as file:
        json.dump({"marks": marks, "heavy": heavy, "modules": len(sys.modules)}, file)
""".replace("HEAVY", repr(HEAVY))


@dataclass(frozen=True, slots=True)
class Run:
    """What one pytest run took.

    Attributes:
        wall: Seconds by the clock, from starting the process to its end.
        used: Seconds of processor time.
        phases: Seconds of processor time by phase.
        heavy: Large libraries that were imported.
        summary: pytest's last line.
    """

    wall: float
    used: float
    phases: Mapping[str, float]
    heavy: Sequence[str]
    summary: str


def copied(folder: Path) -> list[Path]:
    """The slice files, in a project of their own."""
    return [
        Path(shutil.copy(file, folder))
        for suite, names in SLICES.items()
        for file in suite_files(suite)
        if file.name.removesuffix(".slice.yaml") in names
    ]


def answers(name: str) -> dict[str, dict[str, str]]:
    """Good and bad answers to the cases of a slice, by id."""
    rows = map(json.loads, next(FIXTURES.glob(f"suite_answers/*/{name}.jsonl")).read_text("utf-8").splitlines())
    return {row["id"]: row for row in rows}


def text_of(chance: random.Random, name: str, row: Mapping[str, str], spec: str) -> str:
    """What a variant answers."""
    if chance.random() >= KEEPS[spec]:
        return row["bad"]
    steady = random.Random(f"{name} {row['id']}")  # noqa: S311  (made-up answers, no secrets)
    prose = " ".join((steady if chance.random() < SAME[spec] else chance).sample(PROSE, 6))
    if name in BEFORE:
        return f"{prose} So the answer is {row['good']}"
    return f"{row['good']} {prose}" if name in AFTER else row["good"]


def fill(files: Sequence[Path]) -> int:
    """Answer every case of some slice files for every variant, into the cache.

    Returns:
        The number of cases.
    """
    registry, source = builtin_registry(), resolve_model(str(MODEL))
    slices = [load_slice(file, registry) for file in files]
    with CompletionCache(default_cache_path()) as cache:
        for spec in KEEPS:
            chance = random.Random(spec)  # noqa: S311  (as above)
            found = {}
            for each in slices:
                rows = answers(each.name)
                for case in each.cases:
                    text = text_of(chance, each.name, rows[case.id], spec)
                    tokens = tuple(chance.randrange(900) for _ in range(1 + len(text) // 4))
                    margins = tuple(chance.uniform(0, 9) for _ in tokens)
                    found[Request.of(case).digest] = Completion(text, tokens, "stop", 40, margins)
            cache.put(prepare_variant(spec, source).identity.digest, found)
    return sum(len(each.cases) for each in slices)


def run(folder: Path, *options: str) -> Run:
    """Run pytest in a fresh process."""
    marks = folder.parent / "marks.json"
    # Hypothesis is there for the project's own tests; its plugin imports all of it at the end of any run.
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-p", "quantgate_phases", *options]
    path = os.pathsep.join(filter(None, [str(folder.parent / "plugin"), os.environ.get("PYTHONPATH")]))
    environment = dict(os.environ) | {"PHASES": str(marks), "PYTHONPATH": path}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pytest would write all assertions anew in every run
    started, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    wall, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    if ended.returncode not in {0, 1} or not marks.exists():
        sys.exit(ended.stdout + ended.stderr)
    told: dict[str, Any] = json.loads(marks.read_text())
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    phases, last = {}, 0.0
    for name, _, seconds in told["marks"]:
        phases[name] = seconds - last
        last = seconds
    phases["end"] = used - last
    return Run(wall, used, phases, told["heavy"], ended.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, in turns (default: 3)")
    parser.add_argument("--reports", action="store_true", help="write a JSON and an HTML report too")
    options = parser.parse_args()
    reports = ["--quant-report-json", "run.json", "--quant-report-html", "run.html"] if options.reports else []
    with tempfile.TemporaryDirectory() as name:
        ours, bare, plugin = (Path(name) / each for each in ("ours", "bare", "plugin"))
        for folder in (ours, bare, plugin):
            folder.mkdir()
            (folder / "pytest.ini").write_text("[pytest]\n")
        (plugin / "quantgate_phases.py").write_text(PHASES)
        (bare / "test_nothing.py").write_text(
            f"import pytest\n\n@pytest.mark.parametrize('n', range({EMPTY_TESTS}))\ndef test_nothing(n): pass\n"
        )
        os.environ[CACHE_VARIABLE] = str(Path(name) / "cache")
        cases = fill(copied(ours))
        asked = [f"--quant-model={MODEL}", "--quant-ref", "fp16", "--quant-cand", "nf4", "--quant-cand", "int8"]
        run(ours, *asked, *reports)  # byte code, remembered digests
        runs: dict[str, list[Run]] = {"ours": [], "bare": []}
        for _ in range(options.runs):
            runs["ours"].append(run(ours, *asked, *reports))
            runs["bare"].append(run(bare))
    print(f"Python {platform.python_version()}, {platform.machine()}, median of {options.runs}")
    print(f"{cases:,} cases, 2 candidates: {runs['ours'][0].summary.strip('= ')}")
    for kind, label in (("ours", "all cached"), ("bare", f"{EMPTY_TESTS:,} empty tests")):
        wall, used = (median(getattr(each, field) for each in runs[kind]) for field in ("wall", "used"))
        print(f"{label:20} {wall:6.2f} s   {used:6.2f} s of processor")
    ratios = [mine.used / other.used for mine, other in zip(runs["ours"], runs["bare"], strict=True)]
    print(f"{'ratio':20} {median(ratios):6.2f}     (processor)")
    for phase in runs["ours"][0].phases:
        mine, other = (median(each.phases.get(phase, 0.0) for each in runs[kind]) for kind in ("ours", "bare"))
        print(f"  {phase:18} {mine:6.2f} s   {other:6.2f} s with empty tests")
    print(f"imported: {', '.join(runs['ours'][0].heavy) or 'none'} (of {', '.join(HEAVY)})")
    if "torch" in runs["ours"][0].heavy:
        sys.exit("a run whose answers are all cached imports torch")
    taken = median(each.wall for each in runs["ours"])
    judge({f"at most 3 seconds ({taken:.2f})": taken <= MOST})


if __name__ == "__main__":
    main()
