"""What kept answers of the reference save: a gate of both sides cold, beside them, and of the candidate alone.

    python benchmarks/cached_reference.py            # 128 prompts, 64 new tokens, three times: ten minutes or so
    python benchmarks/cached_reference.py --quick    # 16 prompts, 8 new tokens, once

The reference is fp16 of the embedded model, the candidate nf4. The sides take turns; each prepares its variants, loads
what it must and answers all prompts:

- both cold: nothing is kept
- reference cached: the reference's answers are kept from an earlier run, as where only the candidate is new
- candidate alone: nothing is kept, and nobody asks the reference

Fails when a side loads other models than it must: the reference whose answers are kept, above all.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from speed import by_turns, requests, table, taken_on

from pytest_quantgate.generation import run
from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, Variant, load_variant, prepare_variant

REFERENCE, CANDIDATE = "fp16", "nf4"
SIDES = {  # who is asked, and who of them must be loaded
    "both cold": ([REFERENCE, CANDIDATE], [REFERENCE, CANDIDATE]),
    "reference cached": ([REFERENCE, CANDIDATE], [CANDIDATE]),
    "candidate alone": ([CANDIDATE], [CANDIDATE]),
}


def watched() -> list[str]:
    """The specs of all variants that are loaded from now on, in order."""
    loaded: list[str] = []

    def noted(variant: Variant, *more: Any) -> LoadedModel:
        loaded.append(str(variant.spec))
        return load_variant(variant, *more)

    setattr(run, "load_variant", noted)  # noqa: B010  (a benchmark looks on)
    return loaded


def gate(path: Path, asked: Sequence[Request], specs: Sequence[str], device: str) -> None:
    """As a gate runs: prepare, load what has answers missing, answer and keep, one variant after the other."""
    with CompletionCache(path) as cache:
        for spec in specs:
            variant = prepare_variant(spec, resolve_model("smollm2"), device=device)
            run.answer(variant, asked, cache, SilentProgress())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="16 prompts, 8 tokens, once")
    options = parser.parse_args()
    if options.quick:
        options.prompts, options.tokens, options.times = 16, 8, 1
    asked, loaded = requests(options.prompts, options.tokens), watched()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.sqlite"
        gate(kept, asked, [REFERENCE], options.device)
        # imports and the kernels' first calls are no side's matter
        gate(Path(folder) / "first.sqlite", asked[:1], [CANDIDATE], options.device)

        def side(name: str) -> None:
            specs, must = SIDES[name]
            loaded.clear()
            with tempfile.TemporaryDirectory() as fresh:
                cache = Path(fresh) / "cache.sqlite"
                if len(must) < len(specs):
                    shutil.copy(kept, cache)
                gate(cache, asked, specs, options.device)
            if loaded != must:
                raise SystemExit(f"{name}: it loaded {', '.join(loaded) or 'nothing'}, and must load {', '.join(must)}")

        taken = by_turns({name: partial(side, name) for name in SIDES}, options.times)
    cold, cached, alone = taken.values()
    work = f"{options.prompts} prompts, {options.tokens} new tokens, median of {options.times}"
    print(f"{work}, {taken_on(options.device)}")
    print(f"both cold to reference cached {cold / cached:.2f}, that to the candidate alone {cached / alone:.2f}\n")
    rows = [(name, ", ".join(SIDES[name][1]), f"{each:.1f}", f"{each / alone:.2f}") for name, each in taken.items()]
    table(("side", "loads", "seconds", "times the candidate alone"), rows)


if __name__ == "__main__":
    main()
