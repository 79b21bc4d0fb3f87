"""What the HTML report of a large run costs: seconds to write it, its size, and seconds until a browser can use it.

The run is made up: every case has two answers of some sixty words that part somewhere, in four slices with two
candidates. A page is usable when its table of cases is there and its script has nothing left to do; opening a row and a
first search over all texts are timed behind that. Needs Chromium.
"""

from __future__ import annotations

import argparse
import platform
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from pytest_quantgate.cases.model import Case, CheckSpec, Location, Message
from pytest_quantgate.checks.model import CheckResult
from pytest_quantgate.gate.judge import judge
from pytest_quantgate.gate.model import GateInput
from pytest_quantgate.gate.policy import GatePolicy
from pytest_quantgate.generation.completion import Completion
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.report.html import page
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.records import CaseRecord, SliceRecord, VariantRecord

SLICES = ("format", "math", "refusals", "long-context")
CANDIDATES = ("nf4", "int8")
WORDS = (
    "the",
    "answer",
    "of",
    "a",
    "model",
    "is",
    "not",
    "what",
    "it",
    "was",
    "before",
    "rounding",
    "to",
    "few",
    "bits",
)
PASSES, KEEPS = 0.7, 0.9  # share that the reference passes, and of those what a candidate keeps
JUDGED = 400  # cases of a slice that its gate is made of here: gates are not what is measured
LIMIT = 3.0


def outcome(chance: random.Random, shared: list[int], *, passes: bool) -> Outcome:
    """An answer that begins with some tokens and goes on by chance."""
    tokens = [*shared, *(chance.randrange(len(WORDS)) for _ in range(60 - len(shared)))]
    sentences = [" ".join(WORDS[token] for token in tokens[place : place + 8]) for place in range(0, len(tokens), 8)]
    text = ". ".join(sentences)
    result = CheckResult("contains", followed=passes, reason="found" if passes else "'bits' is missing")
    return Outcome(Completion(text, tuple(tokens), "stop", 40, (1.25,) * len(tokens)), (result,), passed=passes)


def made_up(count: int) -> RunReport:
    """A run of so many cases."""
    chance = random.Random(7)  # noqa: S311  (made-up answers, no secrets)
    cases = []
    for number in range(count):
        name, opening = SLICES[number % len(SLICES)], [chance.randrange(len(WORDS)) for _ in range(60)]
        case = Case(
            f"case-{number:05}",
            (Message("user", f"Question {number}: {' '.join(chance.choices(WORDS, k=40))}?"),),
            (CheckSpec("contains", {"text": "bits"}),),
            64,
            tags=(f"tag-{number % 7}",),
            location=Location(f"quant/{name}.slice.yaml", 10 + number),
        )
        outcomes = {"fp16": outcome(chance, opening, passes=chance.random() < PASSES)}
        for spec in CANDIDATES:
            kept = chance.random() < KEEPS
            passes = (outcomes["fp16"].passed is True) == kept
            outcomes[spec] = outcome(chance, opening[: chance.randrange(60)], passes=passes)
        nodes = {spec: f"quant/{name}.slice.yaml::{case.id}[{spec}]" for spec in CANDIDATES}
        cases.append(CaseRecord(name, case, nodes, outcomes))
    inputs = []
    for name in SLICES:
        of = [each for each in cases if each.slice == name][:JUDGED]
        for spec in CANDIDATES:
            compared = [each for case in of if (each := case.comparison("fp16", spec)) is not None]
            inputs.append(GateInput(name, spec, compared, GatePolicy(), len(of), len(of)))
    command = ("pytest", "--quant-ref", "fp16", "--quant-cand", "nf4", "--quant-cand", "int8")
    return RunReport(
        tool_version="0", created="2025-01-01T00:00:00Z", command=command, base_command=command, report_path=None,
        model="made-up", revision=None, device="cpu", compute_dtype="float32",
        reference=VariantRecord("fp16", "0"), candidates=tuple(VariantRecord(spec, spec) for spec in CANDIDATES),
        slices=tuple(SliceRecord(name, "made up", f"quant/{name}.slice.yaml", count // 4) for name in SLICES),
        gates=judge(inputs), cases=tuple(cases),
    )  # fmt: skip


def opened(file: Path, browser: str, runs: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds until the page can be used, until a row is open, and until a first search has its answer."""
    from playwright.sync_api import sync_playwright

    seconds: tuple[list[float], list[float], list[float]] = ([], [], [])
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(runs):
            tab = chromium.new_page()
            started = time.perf_counter()
            tab.goto(file.as_uri(), wait_until="commit")
            tab.locator("html[data-ready]").wait_for(state="attached", timeout=60_000)
            tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")  # it is on the screen
            seconds[0].append(time.perf_counter() - started)
            started = time.perf_counter()
            tab.locator(".open").first.click()
            tab.locator(".detail").wait_for()
            seconds[1].append(time.perf_counter() - started)
            started = time.perf_counter()
            tab.get_by_role("searchbox").fill("case-00042")
            tab.locator("#count").get_by_text("2 of ").wait_for()
            seconds[2].append(time.perf_counter() - started)
            tab.close()
        chromium.close()
    return seconds


def main() -> None:
    """Measure and print; fails when a page takes too long to be usable."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000, help="cases of the run (default: 20000)")
    parser.add_argument("--runs", type=int, default=5, help="times that the page is opened (default: 5)")
    options = parser.parse_args()
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        sys.exit(f"no browser is installed: none of {', '.join(names)}")

    report = made_up(options.cases)
    started, used = time.perf_counter(), time.process_time()
    text = page(report)
    print(f"Python {platform.python_version()}, {platform.machine()}, {options.cases:,} cases, 2 candidates")
    print(
        f"written in        {time.perf_counter() - started:6.1f} s   ({time.process_time() - used:.1f} s of processor)"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(text, encoding="utf-8")
        print(f"size              {file.stat().st_size / 1e6:6.1f} MB")
        ready, row, search = opened(file, browser, options.runs)
    print(f"usable after      {median(ready):6.2f} s   (worst {max(ready):.2f} s of {options.runs})")
    print(f"a row opens in    {median(row):6.2f} s")
    print(f"a first search in {median(search):6.2f} s")
    if median(ready) > LIMIT:
        sys.exit(f"the page takes more than {LIMIT:g} s to be usable")


if __name__ == "__main__":
    main()
