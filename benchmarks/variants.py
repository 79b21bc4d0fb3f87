"""What each variant does to a model's next-token distributions, and what it takes.

    python benchmarks/variants.py                           # all that run here, on the embedded model
    python benchmarks/variants.py nf4 rtn:4bit --model DIR --text FILE

Prints a Markdown table: for each spec the bits that a weight of its layers takes and the megabytes of all weights as
stored, then, over every position of one text, the mean Kullback-Leibler divergence from the reference's distribution to
the variant's, the share of positions where both have the same most likely token, and the perplexity. Specs that cannot
run here are listed with the reason.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.variants.source import ModelSource, resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

SPECS = (
    *("bf16", "int8", "nf4", "nf4:double", "fp4"),
    *("quanto:int8", "quanto:float8", "quanto:int4", "quanto:int2"),
    *("torchao:int8", "torchao:int8-dynamic", "torchao:float8", "torchao:nvfp4"),
    *(f"rtn:{bits}bit" for bits in range(8, 1, -1)),
    *("gptq:4bit", "rtn:4bit-g192", "rtn:4bit-g32", "mix:layers.0=fp16;layers.29=fp16;*=nf4", "stored"),
    *("torchao:int4", "torchao:float8-dynamic", "hqq:4bit"),
)
HEAD = ("spec", "bits per weight", "MB", "KL", "same top token", "perplexity", "seconds to load")
TEXT = """\
A lighthouse is a tower that carries a lamp, and it is built where ships need to know how far they are from rocks or
from the mouth of a harbour. The first ones burned wood on an open platform. Wood was heavy to carry and gave little
light in rain, so keepers changed to coal, then to oil lamps with wicks, and in the nineteenth century to lamps
whose light was gathered by rings of glass prisms. Such a lens bends most of the light into one flat beam, which is
why a small flame can be seen from thirty kilometres away when the air is clear.

How far a light reaches also depends on its height, because the earth is round. The distance to the horizon, in
kilometres, is about 3.6 times the square root of the height in metres. From a tower of 49 metres the horizon is
therefore about 25 kilometres away; a sailor whose eyes are 4 metres above the water adds another 7 kilometres to
that.

Each light has a rhythm of its own, so that a captain can tell two of them apart at night:

- fixed: the light is always on;
- flashing: it is dark for longer than it is lit;
- occulting: it is lit for longer than it is dark.

A chart gives the rhythm in short form. "Fl(3) 15s 40m 24M" means three flashes every 15 seconds, from a lamp that
stands 40 metres above high water and can be seen for 24 nautical miles. If the captain counts two flashes instead
of three, the ship is not where it was thought to be, and the safest thing to do is to slow down and take another
bearing.

Today most lighthouses are automatic. A sensor switches the lamp on at dusk, a second lamp moves into place when the
first one fails, and a short message is sent to an office on the mainland. Question: why are the towers still
painted in bold stripes? Answer: because in daylight nobody sees the lamp, and the stripes tell one tower from the
next.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a variant says of a text.

    Attributes:
        tokens: The text, ``(1, length)``.
        distributions: Log-probabilities of the next token at each position, ``(length, vocabulary)``, in float32.
        bits: Of a weight of its layers.
        stored: Bytes of all weights.
        seconds: To load it.
    """

    tokens: torch.Tensor
    distributions: torch.Tensor
    bits: float
    stored: int
    seconds: float

    @property
    def perplexity(self) -> float:
        """Of the text."""
        return float(functional.nll_loss(self.distributions[:-1], self.tokens[0, 1:]).exp())


def run(spec: str, source: ModelSource, text: str, kernels: str) -> Run:
    """Load a variant and let it read the text once."""
    begun = time.perf_counter()
    loaded = load_variant(prepare_variant(spec, source, kernels=kernels))
    seconds = time.perf_counter() - begun
    model: Any = loaded.model
    tokens = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = model(tokens.to(model.device)).logits[0].float().cpu()
    audit = loaded.audit
    return Run(tokens, logits.log_softmax(-1), audit.bits_per_weight, audit.memory_bytes, seconds)


def row(spec: str, found: Run, reference: Run) -> tuple[str, ...]:
    """The table's line of a variant."""
    divergence = functional.kl_div(found.distributions, reference.distributions, log_target=True, reduction="batchmean")
    agreement = (found.distributions.argmax(-1) == reference.distributions.argmax(-1)).float().mean()
    return (
        f"`{spec}`",
        f"{found.bits:.2f}",
        f"{found.stored / 1e6:.0f}",
        f"{max(0.0, float(divergence)):.4f}",
        f"{float(agreement):.1%}",
        f"{found.perplexity:.2f}",
        f"{found.seconds:.1f}",
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", default=SPECS)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--ref", default="fp16")
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--text", type=Path)
    given = parser.parse_args(words)
    source = resolve_model(given.model)
    text = TEXT if given.text is None else given.text.read_text(encoding="utf-8")
    reference = run(given.ref, source, text, given.kernels)
    print(f"{given.model}, reference {given.ref}, {reference.tokens.numel()} tokens\n")
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    print(f"| {' | '.join(row(given.ref, reference, reference))} |", flush=True)
    refused = []
    for spec in given.specs:
        gc.collect()
        try:
            found = run(spec, source, text, given.kernels)
        except QuantgateError as error:
            refused.append(f"- {error}")
        else:
            print(f"| {' | '.join(row(spec, found, reference))} |", flush=True)
    print("\n".join(["", *refused]))


if __name__ == "__main__":
    main()
