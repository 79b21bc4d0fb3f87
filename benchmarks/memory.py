"""Peak memory of answering, against what is stated: the weights and the budget for keys and values.

    python benchmarks/memory.py                  # 48 long prompts, and a budget of 2 GiB that they fill, three times
    python benchmarks/memory.py --quick          # 16, and 512 MiB

Each variant runs in a process of its own, as a gate has one model in memory at a time; variants take turns. A process
that has loaded torch and the tokenizer and no model is what both stand on. The peak is the most that the process ever
held, loading included; what is beyond weights and budget must be at most 15% of their sum, and fails, without options,
when it is more. On a GPU all of it is what torch held of the GPU's memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from statistics import median

from speed import embedded, judge, table, texts

from pytest_quantgate.cases.model import Message
from pytest_quantgate.generation import run
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress

MIB = 1 << 20
MOST = 0.15
HELD = ("bare", "weights", "loading", "peak")


def peak(device: str) -> int:
    """The most bytes that this process ever held, of the device's memory."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    import torch  # only where a CUDA device is used

    return torch.cuda.max_memory_allocated(device)


def child(spec: str, dtype: str, device: str, prompts: int, budget: int) -> None:
    """Load a variant, answer, and print what was held; peaks are beyond the bare process."""
    from pytest_quantgate.variants.loading import load_tokenizer
    from pytest_quantgate.variants.source import resolve_model

    load_tokenizer(resolve_model("smollm2").folder)
    bare = peak(device)
    loaded = embedded(spec, dtype, device)
    weights = sum({each.data_ptr(): each.nbytes for each in loaded.model.parameters()}.values())
    after_loading = peak(device)
    long = "\n".join(texts(40))
    asked = [Request((Message("user", f"{number}. {long}"),), 64) for number in range(prompts)]
    setattr(run, "key_value_budget", lambda *_: budget)  # noqa: B010  (a benchmark's own budget)
    run.generate(loaded, asked, lambda _fresh: None, SilentProgress())
    print(json.dumps(dict(zip(HELD, (bare, weights, after_loading - bare, peak(device) - bare), strict=True))))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", nargs="*", default=["fp16", "nf4"])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--budget", type=int, default=2048, help="MiB for keys and values")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="16 prompts, 512 MiB")
    named = ("SPEC", "DTYPE", "DEVICE", "PROMPTS", "BUDGET")
    parser.add_argument("--child", nargs=len(named), metavar=named, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        spec, dtype, device, prompts, budget = options.child
        child(spec, dtype, device, int(prompts), int(budget))
        return
    budget = (512 if options.quick else options.budget) * MIB
    prompts = 16 if options.quick else 48
    held: dict[str, list[dict[str, int]]] = {spec: [] for spec in options.spec}
    for _ in range(options.times):
        for spec, runs in held.items():
            told = (spec, options.dtype, options.device, str(prompts), str(budget))
            command = [sys.executable, __file__, "--child", *told]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs.append(json.loads(result.stdout.splitlines()[-1]))
    rows, targets = [], {}
    for spec, runs in held.items():
        bare, weights, loading, most = (median(each[name] for each in runs) for name in HELD)
        stated = weights + budget
        cells = (f"{each / MIB:,.0f}" for each in (bare, weights, budget, loading, most))
        beyond = (most - stated) / stated
        rows.append((spec, *cells, f"{100 * beyond:+.0f}%"))
        targets[f"{spec}: at most +15% ({100 * beyond:+.1f}%)"] = beyond <= MOST
    print(f"MiB, median of {options.times}, {options.device}\n")
    table(("variant", "torch alone", "weights", "budget", "peak of loading", "peak", "peak to stated"), rows)
    judge(targets)


if __name__ == "__main__":
    main()
