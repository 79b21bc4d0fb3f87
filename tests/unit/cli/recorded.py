"""A slice, and files of recorded answers to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_quantgate.cli import main
from pytest_quantgate.gate.model import GateResult
from pytest_quantgate.report.model import RunReport

CASES = 40


def write_slice(folder: Path, name: str = "sums", cases: int = CASES, gate: str = "{min_cases: 20}") -> Path:
    """A slice whose case ``cN`` asks for the number N."""
    lines = [f"slice: {name}", f"gate: {gate}", "cases:"]
    lines += [
        f"  - {{id: c{number}, prompt: Say {number}., checks: [{{number: {number}}}]}}" for number in range(cases)
    ]
    path = folder / f"{name}.slice.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def answers(wrong: Iterable[int] = (), cases: int = CASES, **more: Any) -> list[dict[str, Any]]:
    """An answer to each case, right apart from those that are named."""
    missed = set(wrong)
    return [
        {"id": f"c{number}", "response": "none" if number in missed else f"It is {number}.", **more}
        for number in range(cases)
    ]


def write_answers(path: Path, lines: Iterable[Mapping[str, Any] | str | bytes]) -> str:
    """A file of lines; text and bytes stand as they are."""
    encoded = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return str(path)


def write_run() -> None:
    """Write a slice and four files of answers to it, three of them worse than fp16.jsonl, into the working folder."""
    write_slice(Path())
    write_answers(Path("fp16.jsonl"), answers())
    write_answers(Path("good.jsonl"), answers({3}))
    write_answers(Path("close.jsonl"), answers({3, 4, 5}))
    write_answers(Path("bad.jsonl"), answers(range(10)))


def gate(*arguments: str, candidate: str | None = "good.jsonl", slices: str = "sums.slice.yaml") -> int:
    more = [] if candidate is None else ["--candidate", candidate]
    return main(["gate", "--reference", "fp16.jsonl", *more, "--report-json", "run.json", *arguments, slices])


def report() -> RunReport:
    return RunReport.from_json(Path("run.json").read_text())


def only_gate() -> GateResult:
    (found,) = report().gates
    return found
