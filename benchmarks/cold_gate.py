"""A cold gate of mixed prompts, reference and nf4, against other ways to ask two models the same.

    python benchmarks/cold_gate.py               # 256 prompts, 128 new tokens, three times: an hour or so
    python benchmarks/cold_gate.py --quick       # 32 prompts, 32 new tokens, once

The sides take turns; each loads both models and answers all prompts, in bfloat16 on the CPU, nothing cached:

- quantgate: fp16 weights and nf4, as a gate runs them
- lm-eval (hf): the same two models, nf4 by bitsandbytes, at the best of several batch sizes (at most 64)
- generate, one prompt at a time: what a test of one's own would do; timed on some prompts and multiplied

Must reach: at most half of lm-eval's time, and at most an eighth of one prompt at a time. Fails, without options, when
one is missed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from speed import judge, requests, seconds, table
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.variants.memory import release_memory
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import prepare_variant

SPECS = ("fp16", "nf4")
ALONE = 16  # prompts that are answered one at a time
LEAST_BATCHED, LEAST_ALONE = 2, 8  # times as long as quantgate


def quantgate(asked: Sequence[Request]) -> None:
    """As a gate runs: prepare, load, answer and keep, one variant after the other."""
    with tempfile.TemporaryDirectory() as folder, CompletionCache(Path(folder) / "cache.sqlite") as cache:
        for spec in SPECS:
            variant = prepare_variant(spec, resolve_model("smollm2"), device="cpu", compute_dtype="bfloat16")
            answer(variant, asked, cache, SilentProgress())


def lm_eval(asked: Sequence[Request], batch: int) -> None:
    """Both models through lm-eval's hf backend."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    for spec in SPECS:
        model, tokenizer = load(spec)
        runner: Any = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch, device="cpu")
        limits = {"do_sample": False, "until": [], "max_gen_toks": asked[0].max_new_tokens}
        instances = [
            Instance("generate_until", {}, (text, limits), number) for number, text in enumerate(rendered(asked))
        ]
        runner.generate_until(instances, disable_tqdm=True)
        del model, runner
        release_memory()


def one_at_a_time(asked: Sequence[Request]) -> tuple[float, float]:
    """Seconds for loading both models, and for answering each prompt by ``generate``."""
    loading = answering = 0.0
    for spec in SPECS:
        held: list[Any] = []
        loading += seconds(lambda spec=spec, held=held: held.extend(load(spec)))  # type: ignore[misc]
        model, tokenizer = held
        texts = rendered(asked)

        def generate(model: Any = model, tokenizer: Any = tokenizer, texts: Sequence[str] = texts) -> None:
            for text in texts:
                ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
                model.generate(**ids, max_new_tokens=asked[0].max_new_tokens, do_sample=False)

        answering += seconds(generate)
        release_memory()
    return loading, answering


def load(spec: str) -> tuple[Any, Any]:
    """A model as transformers loads it, and its tokenizer."""
    folder = resolve_model("smollm2").folder
    config: Any = BitsAndBytesConfig
    quantization = (
        config(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
        if spec == "nf4"
        else None
    )
    auto: Any = AutoModelForCausalLM
    model = auto.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=quantization).eval()
    return model, AutoTokenizer.from_pretrained(folder, padding_side="left")


def rendered(asked: Sequence[Request]) -> list[str]:
    """The prompts as the chat template writes them."""
    tokenizer: Any = AutoTokenizer.from_pretrained(resolve_model("smollm2").folder)
    chats = [[{"role": each.role, "content": each.content} for each in request.messages] for request in asked]
    return [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64], help="of lm-eval")
    parser.add_argument("--quick", action="store_true", help="32 prompts, 32 tokens, once, batches of 32")
    options = parser.parse_args()
    if options.quick:
        options.prompts, options.tokens, options.times, options.batches = 32, 32, 1, [32]
    logging.disable(logging.WARNING)
    asked = requests(options.prompts, options.tokens)
    few = asked[:: max(1, len(asked) // ALONE)][:ALONE]
    sides: dict[str, Callable[[], float]] = {"quantgate": lambda: seconds(lambda: quantgate(asked))}
    for batch in options.batches:
        sides[f"lm-eval, batch {batch}"] = lambda batch=batch: seconds(lambda: lm_eval(asked, batch))  # type: ignore[misc]

    def alone() -> float:
        loading, answering = one_at_a_time(few)
        return loading + answering * len(asked) / len(few)

    sides[f"generate, one at a time (from {len(few)} prompts)"] = alone
    quantgate(asked[:1])  # imports and the kernels' first calls are no side's matter
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.times):
        for name, side in sides.items():
            taken[name].append(side())
            print(f"{number + 1}: {name}: {taken[name][-1]:.0f} s", file=sys.stderr, flush=True)
    ours = median(taken["quantgate"])
    print(f"{len(asked)} prompts, {options.tokens} new tokens, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads\n")
    times = {name: median(each) / ours for name, each in taken.items()}
    rows = [(name, f"{median(each):.0f}", f"{times[name]:.1f}") for name, each in taken.items()]
    table(("who", "seconds", "times quantgate's"), rows)
    _, *batched, one_by_one = times.values()
    judge(
        {
            f"at least 2 times against the best lm-eval ({min(batched):.1f})": min(batched) >= LEAST_BATCHED,
            f"at least 8 times against one prompt at a time ({one_by_one:.1f})": one_by_one >= LEAST_ALONE,
        }
    )


if __name__ == "__main__":
    main()
