"""How close decoding comes to what the linear layers alone would take.

    python benchmarks/decoding.py                # 64 and 128 rows, float32 and bfloat16: ten minutes or so
    python benchmarks/decoding.py --quick

Prompts of IFBench, of 45 tokens to a thousand, decode together on the embedded model, none stops. After every fourth
step the model's linear layers are run alone, output head included, on inputs of as many rows; so both sides see the
same machine. Must reach 50%, and fails, without options, where the short way does not. Beside it the same by the
model's own forward pass, as where there is no short way; on a GPU there is none.

The layers are run twice: by `torch.nn.functional.linear`, which the target is of, and as the step itself has them
multiplied (`generation/linear.py`). That differs on a CPU: in float32 by the library, in all dtypes by the short way,
whose left factor are the weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product
from statistics import median

import torch
from speed import SOURCES, embedded, judge, requests, seconds, table, taken_on
from torch import nn
from torch.nn import functional

from pytest_quantgate.generation import linear
from pytest_quantgate.generation.decode import WIDE, Decoder
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.variants.schedule import Schedule
from pytest_quantgate.variants.variant import LoadedModel

CONTEXT = 8192
EVERY = 4
LEAST = 0.5
BUDGET = 8 << 30  # bytes that hold 128 rows of WIDE columns in float32


def layers_alone(model: nn.Module, rows: int, *, short: bool) -> tuple[Callable[[], None], Callable[[], None]]:
    """All linear layers of a model on so many rows: by torch's own choice, and as a step has them multiplied."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    inputs = {layer.in_features: layer.weight.new_empty(rows, layer.in_features).normal_() for layer in layers}
    columns = {size: each.t().contiguous() for size, each in inputs.items()}
    on_cpu = layers[0].weight.device.type == "cpu"

    @torch.inference_mode()
    def by_torch() -> None:
        for layer in layers:
            functional.linear(inputs[layer.in_features], layer.weight, layer.bias)
        if not on_cpu:
            torch.cuda.synchronize()

    @torch.inference_mode()
    def by_the_short_way() -> None:
        for layer in layers:
            linear.product(layer.weight, columns[layer.in_features])

    def by_the_forward_pass() -> None:
        with linear.Linear():
            by_torch()

    own = by_the_short_way if short else by_the_forward_pass if on_cpu else by_torch
    return by_torch, own


def measure(loaded: LoadedModel, rows: int, new_tokens: int, *, short: bool) -> tuple[float, float, float, float]:
    """Median seconds of a step, of the linear layers alone, and of these as the step has them; a row's mean columns."""
    found, _ = tokenize(loaded.tokenizer, requests(2 * rows, new_tokens, SOURCES[:1]), CONTEXT)
    # beside rows that are wider, short prompts wait for their end, and never are all rows busy
    prompts = [prompt for prompt in found if prompt.total <= WIDE][:rows]
    steps, alone, alike = [], [], []
    decoder = Decoder(loaded.model, frozenset(), BUDGET, schedule=Schedule(max_rows=rows))
    if not short:
        setattr(decoder, "_short", None)  # noqa: B010  (nobody else chooses the slower way)
    by_torch, by_the_step = layers_alone(loaded.model, rows, short=short)
    begin = time.perf_counter()
    for made in decoder.run(prompts):
        taken = time.perf_counter() - begin
        if made.tokens == rows:  # a step of all rows; what reads prompts makes fewer tokens
            steps.append(taken)
            if len(steps) % EVERY == 0:
                alone.append(seconds(by_torch))
                alike.append(seconds(by_the_step))
        begin = time.perf_counter()
    columns = sum(len(prompt.token_ids) for prompt in prompts) / rows + new_tokens / 2
    return median(steps), median(alone), median(alike), columns


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--tokens", type=int, default=128, help="decoding steps of each run")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="64 rows, 20 steps")
    options = parser.parse_args()
    sizes = [64] if options.quick else options.rows
    ways = (True, False) if options.device == "cpu" else (False,)
    lines, targets = [], {}
    for dtype in options.dtype:
        loaded = embedded("fp16", dtype, options.device)
        for rows, short in product(sizes, ways):
            step, *layers, columns = measure(loaded, rows, 20 if options.quick else options.tokens, short=short)
            way = "generation/step.py" if short else "model's forward"
            times = [cell for each in layers for cell in (f"{1000 * each:.0f}", f"{100 * each / step:.0f}%")]
            lines.append((dtype, str(rows), f"{columns:.0f}", way, f"{1000 * step:.0f}", *times))
            if short:
                share = layers[0] / step
                targets[f"{dtype}, {rows} rows: at least 50% ({100 * share:.1f}%)"] = share >= LEAST
    print(f"{taken_on(options.device)}\n")
    head = ("compute dtype", "rows", "mean columns", "way", "step, ms", "linear layers alone, ms", "share")
    table((*head, "by the step's library, ms", "share"), lines)
    judge(targets)


if __name__ == "__main__":
    main()
