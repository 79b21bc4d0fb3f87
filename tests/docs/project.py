"""What a reader has when he opens a page: a project with two slices, a model, a stored run, and recorded answers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from pytest_quantgate import cli
from pytest_quantgate.report.model import RunReport
from pytest_quantgate.report.store import load

ROOT: Final = Path(__file__).parents[2]
MODEL: Final = ROOT / "fixtures" / "tiny_instruct" / "model"
_PEOPLE: Final = ROOT / "examples" / "first_slice" / "quant" / "people.slice.yaml"
_CANDIDATES: Final = {"nf4": "int4", "int8": "int8", "ruin:2bit": "int2"}
SUMS: Final = 60


def build(folder: Path, cache: Path) -> None:
    """Write the project, run it once, and keep what it answered as a report and as recordings.

    Args:
        folder: Where to.
        cache: The folder of the kept answers.
    """
    (folder / "quant").mkdir(parents=True)
    (folder / "fixtures").symlink_to(ROOT / "fixtures")  # as in a clone
    people: dict[str, Any] = yaml.safe_load(_PEOPLE.read_text(encoding="utf-8"))
    for case, name in zip(people["cases"], ("alice", "bob"), strict=False):  # as every page calls them
        case["id"] = name
    sums = [
        {"id": f"add-{n + 1}", "prompt": f"What is {10 + n} + {1 + n % 8}?", "checks": [{"number": 11 + n + n % 8}]}
        for n in range(SUMS)
    ]
    _write(folder / "quant" / "people.slice.yaml", people)
    _write(folder / "quant" / "sums.slice.yaml", {"slice": "sums", "defaults": {"max_new_tokens": 8}, "cases": sums})
    ini = f"[pytest]\ntestpaths = quant\nquant_model = {MODEL}\n"  # the fixtures have slices of their own
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    _run(folder, cache)
    report = load(folder / "run.json")
    for spec, name in {"fp16": "fp16", **_CANDIDATES}.items():
        (folder / f"{name}.jsonl").write_text(_recorded(report, spec), encoding="utf-8")
    shutil.copy(folder / "fp16.jsonl", folder / "fp16-again.jsonl")
    for day in ("monday", "friday"):
        _gate(folder, folder / f"{day}.json")
    answer = {"id": "sum", "prompt": "What is 7 + 5?", "checks": [{"number": 12}], "response": "It is 12."}
    (folder / "answers.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf-8")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")  # every value of JSON is one of YAML too


def _run(folder: Path, cache: Path) -> None:
    """In a process of its own: what it leaves in memory is no test's."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    named = [word for spec in _CANDIDATES for word in ("--quant-cand", spec)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "quant", *named, "--quant-report-json", "run.json"],
        cwd=folder,
        env={**surroundings, "QUANTGATE_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (folder / "run.json").is_file(), (done.stdout + done.stderr)[-2_000:]


def _gate(folder: Path, report: Path) -> None:
    """A run of one candidate, from the recordings."""
    files = ["--reference", f"fp16={folder / 'fp16.jsonl'}", "--candidate", f"nf4={folder / 'int4.jsonl'}"]
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["gate", *files, str(folder / "quant"), "--report-json", str(report)])


def _recorded(report: RunReport, spec: str) -> str:
    lines = []
    for record in report.cases:
        completion = record.outcomes[spec].completion
        line: dict[str, Any] = {"slice": record.slice, "id": record.case.id, "response": completion.text}
        line |= {"finish_reason": completion.finish_reason, "tokens": completion.length}
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"
