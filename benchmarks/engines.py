"""Ways to answer many prompts with one loaded model: our decoder, and what transformers and vLLM offer.

    python benchmarks/engines.py               # 128 prompts, 64 new tokens, three times
    python benchmarks/engines.py --quick       # 32 prompts, 16 new tokens, once

The sides take turns, in float32 on a CPU or, with --device cuda:0, in float16 on a GPU. Models are loaded before
anything is timed; the first time, which compiling takes part of, has a column of its own:

- quantgate: the decoder of this project
- continuous: transformers' own continuous batching
- generate: transformers' generate, batches of 64, longest prompts first
- vllm: vLLM in process, where it is installed
- compiled: generate with torch.compile over the forward pass, with --compiled

--quant-kernels and docs/performance.md say which of them a run uses.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from speed import by_turns, requests, seconds, table
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.offline_environment import prepare_environment
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import tokenize
from pytest_quantgate.generation.run import generate
from pytest_quantgate.variants.schedule import Schedule
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import load_variant, prepare_variant

ROWS = 64
CONTEXT = 8192


class Transformers:
    """The embedded model as transformers runs it."""

    def __init__(self, device: str, asked: Sequence[Request]) -> None:
        folder = str(resolve_model("smollm2").folder)
        auto: Any = AutoModelForCausalLM
        dtype = torch.float32 if device == "cpu" else torch.float16
        self._model = auto.from_pretrained(folder, dtype=dtype, device_map={"": device}).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        prompts, _ = tokenize(self._tokenizer, asked, CONTEXT)
        self._prompts = sorted((list(prompt.token_ids) for prompt in prompts), key=len, reverse=True)
        self._config = GenerationConfig(
            max_new_tokens=asked[0].max_new_tokens, do_sample=False, eos_token_id=self._tokenizer.eos_token_id
        )

    def continuous(self) -> None:
        """Its continuous batching; the model's tensors must not be those of inference mode."""
        found = self._model.generate_batch(self._prompts, generation_config=self._config, progress_bar=False)
        failed = [each.error for each in found.values() if each.error]
        if failed or len(found) != len(self._prompts):
            raise SystemExit(f"continuous batching failed: {failed[:1]}")

    def batches(self) -> None:
        """``generate`` of one batch after the other."""
        for begin in range(0, len(self._prompts), ROWS):
            batch = self._tokenizer.pad({"input_ids": self._prompts[begin : begin + ROWS]}, return_tensors="pt")
            self._model.generate(
                **batch.to(self._model.device),
                generation_config=self._config,
                pad_token_id=self._tokenizer.eos_token_id,
            )

    def compiled(self) -> Transformers:
        """The same with a compiled forward pass, in place."""
        self._model.forward = torch.compile(self._model.forward, dynamic=True)
        return self


def ours(device: str, asked: Sequence[Request]) -> Callable[[], None]:
    """The decoder of this project."""
    spec = "fp32" if device == "cpu" else "fp16"
    loaded = load_variant(prepare_variant(spec, resolve_model("smollm2"), device=device))
    return lambda: generate(loaded, asked, lambda _: None, SilentProgress())


def vllm(device: str, asked: Sequence[Request]) -> Callable[[], None]:
    """Our engine of vLLM, in this process; nothing is shared, or a second run would find all prompts read."""
    from pytest_quantgate.generation.offline import Offline

    spec = "fp32" if device == "cpu" else "fp16"
    variant = prepare_variant(spec, resolve_model("smollm2"), device=device, kernels="vllm")
    prepare_environment(device, variant.needed_bytes, 1, os.environ)
    offline = Offline(replace(variant, schedule=Schedule(share_beginnings=False)), print)
    return lambda: offline.generate(asked, lambda _: None, SilentProgress())


def main() -> None:
    """Time all sides and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="32 prompts, 16 new tokens, once")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--compiled", action="store_true", help="generate with torch.compile too: minutes on a CPU")
    options = parser.parse_args()
    prompts, tokens, times = (32, 16, 1) if options.quick else (128, 64, 3)
    asked = requests(prompts, tokens)
    model = Transformers(options.device, asked)
    makers: dict[str, Callable[[], Callable[[], None]]] = {
        "quantgate": lambda: ours(options.device, asked),
        "continuous": lambda: model.continuous,
        "generate": lambda: model.batches,
    }
    if options.compiled:
        makers["compiled"] = lambda: Transformers(options.device, asked).compiled().batches
    if find_spec("vllm") is not None:
        makers["vllm"] = lambda: vllm(options.device, asked)
    sides = {name: make() for name, make in makers.items()}
    first = {name: seconds(side) for name, side in sides.items()}
    taken = by_turns(sides, times)
    base = taken["quantgate"]
    rows = [[name, f"{first[name]:.1f}", f"{each:.1f}", f"{each / base:.2f}"] for name, each in taken.items()]
    print(f"{prompts} prompts, {tokens} new tokens, {options.device}, {torch.get_num_threads()} threads\n")
    table(["way", "first time, s", "then, s", "times quantgate's"], rows)


if __name__ == "__main__":
    main()
