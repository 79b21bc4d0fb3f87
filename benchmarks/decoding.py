"""How close decoding comes to what the linear layers alone would take.

    python benchmarks/decoding.py                # 64 and 128 rows, float32 and bfloat16: ten minutes or so
    python benchmarks/decoding.py --quick

Prompts of IFBench, of 45 tokens to a thousand, decode together on the embedded model, none stops. After every fourth
step the model's linear layers are run alone, output head included, on inputs of as many rows; so both sides see the
same machine. Must reach 50%. Beside it the same by the model's own forward pass, as where there is no short way.
"""

from __future__ import annotations

import argparse
import time
from itertools import product
from statistics import median

import torch
from speed import SOURCES, embedded, requests, seconds, table
from torch import nn
from torch.nn import functional

from pytest_quantgate.generation.decode import WIDE, Decoder
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.variants.schedule import Schedule
from pytest_quantgate.variants.variant import LoadedModel

CONTEXT = 8192
EVERY = 4
BUDGET = 8 << 30  # bytes that hold 128 rows of WIDE columns in float32


def measure(loaded: LoadedModel, rows: int, new_tokens: int, *, short: bool) -> tuple[float, float, float]:
    """Median seconds of a step and of the linear layers alone, and the mean columns of a row."""
    found, _ = tokenize(loaded.tokenizer, requests(2 * rows, new_tokens, SOURCES[:1]), CONTEXT)
    # beside rows that are wider, short prompts wait for their end, and never are all rows busy
    prompts = [prompt for prompt in found if prompt.total <= WIDE][:rows]
    layers = [module for module in loaded.model.modules() if isinstance(module, nn.Linear)]
    inputs = {layer.in_features: layer.weight.new_empty(rows, layer.in_features).normal_() for layer in layers}

    @torch.inference_mode()
    def linear() -> None:
        for layer in layers:
            functional.linear(inputs[layer.in_features], layer.weight, layer.bias)

    steps, alone = [], []
    decoder = Decoder(loaded.model, frozenset(), BUDGET, schedule=Schedule(max_rows=rows))
    if not short:
        setattr(decoder, "_short", None)  # noqa: B010  (nobody else chooses the slower way)
    begin = time.perf_counter()
    for made in decoder.run(prompts):
        taken = time.perf_counter() - begin
        if made.tokens == rows:  # a step of all rows; what reads prompts makes fewer tokens
            steps.append(taken)
            if len(steps) % EVERY == 0:
                alone.append(seconds(linear))
        begin = time.perf_counter()
    columns = sum(len(prompt.token_ids) for prompt in prompts) / rows + new_tokens / 2
    return median(steps), median(alone), columns


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--tokens", type=int, default=128, help="decoding steps of each run")
    parser.add_argument("--quick", action="store_true", help="64 rows, 20 steps")
    options = parser.parse_args()
    sizes = [64] if options.quick else options.rows
    lines = []
    for dtype in options.dtype:
        loaded = embedded("fp16", dtype)
        for rows, short in product(sizes, (True, False)):
            step, linear, columns = measure(loaded, rows, 20 if options.quick else options.tokens, short=short)
            way = "generation/step.py" if short else "model's forward"
            times = (f"{1000 * step:.0f}", f"{1000 * linear:.0f}", f"{100 * linear / step:.0f}%")
            lines.append((dtype, str(rows), f"{columns:.0f}", way, *times))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; must reach 50%\n")
    table(("compute dtype", "rows", "mean columns", "way", "step, ms", "linear layers alone, ms", "share"), lines)


if __name__ == "__main__":
    main()
