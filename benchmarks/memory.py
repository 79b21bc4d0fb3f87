"""Peak memory of answering, against what is stated: the weights and the budget for keys and values.

    python benchmarks/memory.py                  # 48 long prompts, and a budget of 2 GiB that they fill
    python benchmarks/memory.py --quick          # 16, and 512 MiB

Each variant runs in a process of its own, as a gate has one model in memory at a time. A process that has loaded torch
and the tokenizer and no model is what both stand on. The peak is the most that the process ever held, loading included;
what is beyond weights and budget must be at most 15% of their sum.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys

from speed import embedded, table, texts

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import run
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress

MIB = 1 << 20


def peak() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(spec: str, dtype: str, prompts: int, budget: int) -> None:
    """Load a variant, answer, and print what was held."""
    from pytest_quantgate.variants.loading import load_tokenizer
    from pytest_quantgate.variants.source import resolve_model

    load_tokenizer(resolve_model("smollm2").folder)
    bare = peak()
    loaded = embedded(spec, dtype)
    weights = sum({each.data_ptr(): each.nbytes for each in loaded.model.parameters()}.values())
    after_loading = peak()
    long = "\n".join(texts(40))
    asked = [Request((Message("user", f"{number}. {long}"),), 64) for number in range(prompts)]
    setattr(run, "key_value_budget", lambda *_: budget)  # noqa: B010  (a benchmark's own budget)
    run.generate(loaded, asked, lambda _fresh: None, SilentProgress())
    print(json.dumps({"bare": bare, "weights": weights, "loading": after_loading, "peak": peak()}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", nargs="*", default=["fp16", "nf4"])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--budget", type=int, default=2048, help="MiB for keys and values")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=4, metavar=("SPEC", "DTYPE", "PROMPTS", "BUDGET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        spec, dtype, prompts, budget = options.child
        child(spec, dtype, int(prompts), int(budget))
        return
    budget = (512 if options.quick else options.budget) * MIB
    prompts = 16 if options.quick else 48
    rows = []
    for spec in options.spec:
        command = [sys.executable, __file__, "--child", spec, options.dtype, str(prompts), str(budget)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        held = json.loads(result.stdout.splitlines()[-1])
        stated = held["weights"] + budget
        beyond = held["peak"] - held["bare"] - stated
        cells = (held["bare"], held["weights"], budget, held["loading"] - held["bare"], held["peak"] - held["bare"])
        rows.append((spec, *(f"{each / MIB:,.0f}" for each in cells), f"{100 * beyond / stated:+.0f}%"))
    print("MiB; the last column must be at most +15%\n")
    table(("variant", "torch alone", "weights", "budget", "peak of loading", "peak", "peak to stated"), rows)


if __name__ == "__main__":
    main()
