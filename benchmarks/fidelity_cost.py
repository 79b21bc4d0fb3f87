"""What ``--quant-fidelity`` costs: the same cold run with and without it.

    python benchmarks/fidelity_cost.py            # 64 prompts, 64 new tokens, three times: minutes
    python benchmarks/fidelity_cost.py --quick    # 8 prompts, 8 new tokens, once

The reference is fp16 of the embedded model, the candidate nf4; nothing is kept. The sides take turns; each loads both
models and answers all prompts. With fidelity the reference then reads its own answers once more, and what it expects in
the place of each token is kept; the candidate reads the same answers and is compared with it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from speed import by_turns, requests, table, taken_on

from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.yardstick import Yardstick
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, prepare_variant

REFERENCE, CANDIDATE = "fp16", "nf4"


def gate(asked: Sequence[Request], device: str, *, fidelity: bool) -> None:
    """As a gate runs: prepare, load, answer, keep and, with fidelity, measure, one variant after the other."""
    source, progress = resolve_model("smollm2"), SilentProgress()
    reference, candidate = (prepare_variant(spec, source, device=device) for spec in (REFERENCE, CANDIDATE))
    identity = candidate.identity.digest
    with tempfile.TemporaryDirectory() as folder, CompletionCache(Path(folder) / "cache.sqlite") as cache:
        yardstick = Yardstick(reference.identity.digest, [identity], cache)

        def expect(completions: Mapping[str, Completion], load: Callable[[], LoadedModel]) -> None:
            yardstick.answers(asked, completions)
            yardstick.measure_reference(load, progress)

        def compare(_: Mapping[str, Completion], load: Callable[[], LoadedModel]) -> None:
            yardstick.measure(identity, load, progress)

        answers = answer(reference, asked, cache, progress, then=expect if fidelity else None)
        answer(candidate, asked, cache, progress, then=compare if fidelity else None)
        along = sum(bool(each.token_ids) for each in answers.completions.values())
        if fidelity and len(yardstick.of(identity)) != along:
            raise SystemExit(f"measured along {len(yardstick.of(identity))} of {along} answers")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="8 prompts, 8 tokens, once")
    options = parser.parse_args()
    if options.quick:
        options.prompts, options.tokens, options.times = 8, 8, 1
    asked = requests(options.prompts, options.tokens)
    gate(asked[:1], options.device, fidelity=True)  # imports and the kernels' first calls are no side's matter
    sides = {name: partial(gate, asked, options.device, fidelity=name == "with") for name in ("without", "with")}
    taken = by_turns(sides, options.times)
    without, _ = taken.values()
    work = f"{options.prompts} prompts, {options.tokens} new tokens, median of {options.times}"
    print(f"{REFERENCE} and {CANDIDATE}, {work}, {taken_on(options.device)}\n")
    rows = [(name, f"{each:.1f}", f"{each / without:.2f}") for name, each in taken.items()]
    table(("fidelity", "seconds", "times"), rows)


if __name__ == "__main__":
    main()
