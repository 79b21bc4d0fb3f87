"""How long pytest takes to collect many cases: `python benchmarks/collection.py [--cases 10000] [--runs 3]`.

The same command without the slice file is run in turns, so that the difference is what collecting costs. No model
is needed: the folder named as one is never opened under --collect-only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"empty": [], "full": []}
    with tempfile.TemporaryDirectory() as name:
        for kind in seconds:
            folder = Path(name) / kind
            folder.mkdir()
            (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
        rows = (
            {"id": f"case-{number}", "prompt": "say it", "checks": [{"exact": "it"}], "tags": ["one"]}
            for number in range(options.cases)
        )
        (Path(name) / "full" / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        (Path(name) / "full" / "words.slice.yaml").write_text("slice: words\ncases: rows.jsonl\n")
        command = [sys.executable, "-m", "pytest", "--co", "-qq", "-p", "no:cacheprovider", "--quant-cand", "nf4"]
        for _ in range(options.runs):
            for kind, taken in seconds.items():
                began = time.perf_counter()
                subprocess.run(command, cwd=Path(name) / kind, check=True, capture_output=True)
                taken.append(time.perf_counter() - began)
    empty, full = (statistics.median(taken) for taken in seconds.values())
    print(f"{options.cases} cases: {full - empty:.2f} s to collect ({full:.2f} s in all, {empty:.2f} s without them)")


if __name__ == "__main__":
    main()
