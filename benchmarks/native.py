"""What unpacking weights costs on a CPU: `nf4` by its own kernels against the same weights spread out once.

    python benchmarks/native.py               # 64 rows, float32 and bfloat16
    python benchmarks/native.py --rows 1 8    # others

A forward pass of the embedded model over one token of each row, as a decoding step takes. Both ways take turns, three
times; medians.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from speed import by_turns, table, taken_on

from pytest_quantgate.generation.forward import logits_of
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

TIMES = 3
WAYS = ("dense", "native")


def forward(spec: str, dtype: str, kernels: str) -> Callable[[torch.Tensor], object]:
    """A forward pass of the embedded model as a variant, run once, for whatever is set up then."""
    source = resolve_model("smollm2")
    model = load_variant(prepare_variant(spec, source, device="cpu", compute_dtype=dtype, kernels=kernels)).model

    @torch.inference_mode()
    def run(tokens: torch.Tensor) -> object:
        return logits_of(model, input_ids=tokens, use_cache=False)

    run(torch.ones(1, 1, dtype=torch.long))
    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="nf4")
    parser.add_argument("--rows", type=int, nargs="*", default=[64])
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    options = parser.parse_args()
    lines = []
    for dtype in options.dtype:
        ways = {kernels: forward(options.spec, dtype, kernels) for kernels in WAYS}
        for rows in options.rows:
            tokens = torch.arange(rows)[:, None]
            taken = by_turns({kernels: partial(way, tokens) for kernels, way in ways.items()}, TIMES)
            dense, native = (taken[kernels] for kernels in WAYS)
            lines.append((dtype, str(rows), f"{1000 * dense:.0f}", f"{1000 * native:.0f}", f"{native / dense:.1f}"))
    print(f"{options.spec}, {taken_on('cpu')}\n")
    table(("compute dtype", "rows", "dense, ms", "native, ms", "times"), lines)


if __name__ == "__main__":
    main()
