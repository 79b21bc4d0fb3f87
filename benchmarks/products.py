"""Linear layers by each of torch's two libraries for CPUs, in float32: MKL, which torch takes, and oneDNN.

    python benchmarks/products.py                # 1 to 2,048 rows: a minute
    python benchmarks/products.py --quick        # 64 and 512

All linear layers of the embedded model are run alone, output head included for up to 128 rows, in three ways by turns:
as torch alone would (MKL, the weights as its right factor), by MKL with the weights as its left factor, and by oneDNN
with them there, as a step does (`generation/linear.py`). The package's forward passes take oneDNN too, and are not run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from speed import by_turns, embedded, table
from torch import nn
from torch.nn import functional

from pytest_quantgate.generation.linear import product

TIMES = 7
HEAD_ROWS = 128  # prompts are read for many tokens at a time, and of each the last alone goes through the head


def ways(layers: list[nn.Linear], rows: int) -> dict[str, Callable[[], None]]:
    """The layers on so many rows, each way."""
    inputs = {layer.in_features: torch.randn(layer.in_features, rows) for layer in layers}

    def alone() -> None:
        for layer in layers:
            functional.linear(inputs[layer.in_features].t(), layer.weight)

    def left() -> None:
        for layer in layers:
            torch.mm(layer.weight, inputs[layer.in_features])

    def onednn() -> None:
        for layer in layers:
            product(layer.weight, inputs[layer.in_features])

    return {"alone": alone, "left": left, "onednn": onednn}


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8, 64, 128, 512, 2048])
    parser.add_argument("--quick", action="store_true", help="64 and 512 rows")
    options = parser.parse_args()
    model = embedded("fp16", "float32").model
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    lines = []
    for rows in [64, 512] if options.quick else options.rows:
        used = [layer for layer in layers if rows <= HEAD_ROWS or layer is not model.get_output_embeddings()]
        taken = by_turns(ways(used, rows), TIMES)
        milliseconds = (f"{1000 * seconds:.0f}" for seconds in taken.values())
        lines.append((f"{rows:,}", *milliseconds, f"{taken['alone'] / taken['onednn']:.2f}"))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.cpu.get_capabilities()['cpu_name']}\n")
    heads = ("rows", "torch alone, ms", "MKL, weights left, ms", "oneDNN, weights left, ms", "torch alone to oneDNN")
    table(heads, lines)


if __name__ == "__main__":
    main()
