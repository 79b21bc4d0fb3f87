"""How cost grows with work: 1,024 prompts against 256, and the bookkeeping alone for up to 20,000.

    python benchmarks/scaling.py                 # on the embedded model, bfloat16: some minutes
    python benchmarks/scaling.py --quick         # 256 prompts against 64

Both sizes take turns, three times. Four times the prompts must take at most 4.4 times as long; fails, without options,
when they take longer. The second table times what is done for each prompt besides computing: grouping by common
beginnings, the queue, keeping and finding answers; its sizes take turns too.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from speed import by_turns, embedded, judge, requests, seconds, table, taken_on

from pytest_quantgate.generation.cache import CompletionCache
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.prefill import next_batch, queue_of
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.prompts import Prompt
from pytest_quantgate.generation.run import generate
from pytest_quantgate.variants.schedule import USUAL

TIMES = 3
MOST = 4.4  # times as long for four times the prompts
BATCH = 32
DTYPE = "bfloat16"
COUNTS = (5_000, 10_000, 20_000)
VOCABULARY = 50_000


def answering(small: int, new_tokens: int, device: str) -> tuple[float, float]:
    """Median seconds for so many prompts, and for four times as many."""
    loaded = embedded("fp16", DTYPE, device)
    asked = requests(4 * small, new_tokens)

    def answer(some: Sequence[Request]) -> None:
        with tempfile.TemporaryDirectory() as folder, CompletionCache(Path(folder) / "cache.sqlite") as cache:
            generate(loaded, some, lambda fresh: cache.put("identity", fresh), SilentProgress())

    sides = {"small": lambda: answer(asked[::4]), "large": lambda: answer(asked)}
    sides["small"]()  # what is done once for a model is no matter of the number of prompts
    taken = by_turns(sides, TIMES)
    return taken["small"], taken["large"]


def bookkeeping() -> dict[int, dict[str, float]]:
    """Median seconds of each step that handles all prompts, by their number."""
    asked = {count: made_up(count) for count in COUNTS}
    turns = [{count: steps(prompts) for count, prompts in asked.items()} for _ in range(TIMES)]
    return {count: {step: median(turn[count][step] for turn in turns) for step in turns[0][count]} for count in COUNTS}


def made_up(count: int) -> list[Prompt]:
    """Prompts of which some begin alike and some are alone."""
    chance = random.Random(count)  # noqa: S311  (the same prompts each time)
    texts = [tuple(chance.randrange(VOCABULARY) for _ in range(200)) for _ in range(count // 20)]
    return [
        Prompt(f"{number:064d}", (*(texts[number % len(texts)] if number % 2 else ()), *_tokens(chance)), 64)
        for number in range(count)
    ]


def steps(prompts: Sequence[Prompt]) -> dict[str, float]:
    """Seconds of each step that handles all prompts."""
    answers = {prompt.digest: Completion("text", (1, 2, 3), "stop", len(prompt.token_ids)) for prompt in prompts}

    def batches() -> Iterator[object]:
        while waiting:
            yield next_batch(waiting, BATCH, 2048)

    taken = {"groups and queue": seconds(lambda: queue_of(prompts, USUAL))}
    waiting = queue_of(prompts, USUAL)
    taken["batches"] = seconds(lambda: list(batches()))
    with tempfile.TemporaryDirectory() as folder, CompletionCache(Path(folder) / "cache.sqlite") as cache:
        kept = list(answers.items())
        parts = [dict(kept[first : first + BATCH]) for first in range(0, len(kept), BATCH)]

        def keep() -> None:
            for part in parts:
                cache.put("identity", part)

        taken["keeping answers"] = seconds(keep)
        taken["finding answers"] = seconds(lambda: cache.get("identity", answers))
    return taken


def _tokens(chance: random.Random) -> Iterator[int]:
    return (chance.randrange(VOCABULARY) for _ in range(chance.randrange(5, 150)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=16, help="new tokens of each answer")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--quick", action="store_true", help="64 prompts and 256 of 8 tokens")
    parser.add_argument("--bookkeeping", action="store_true", help="without a model")
    options = parser.parse_args()
    targets = {}
    if not options.bookkeeping:
        size, tokens = (64, 8) if options.quick else (256, options.tokens)
        small, large = answering(size, tokens, options.device)
        print(f"{taken_on(options.device)}, {DTYPE}, {tokens} new tokens, medians of {TIMES}\n")
        table(
            ("prompts", "seconds", "times"),
            [(f"{size:,}", f"{small:.1f}", "1.00"), (f"{4 * size:,}", f"{large:.1f}", f"{large / small:.2f}")],
        )
        print()
        targets[f"at most {MOST} times for four times the prompts ({large / small:.2f})"] = large / small <= MOST
    taken = list(bookkeeping().values())
    rows = [
        (step, *(f"{1000 * each[step]:.0f}" for each in taken), f"{taken[-1][step] / taken[-2][step]:.1f}")
        for step in taken[0]
    ]
    table(
        (f"milliseconds, medians of {TIMES}", *(f"{count:,} prompts" for count in COUNTS), "last to the one before"),
        rows,
    )
    judge(targets)


if __name__ == "__main__":
    main()
