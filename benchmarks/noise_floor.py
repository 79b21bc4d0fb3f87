"""How much of a difference is noise: a reference against itself, run another way, in each arithmetic.

    python benchmarks/noise_floor.py                              # format and math of core, on the embedded model
    python benchmarks/noise_floor.py refusals --cases 60 --dtype bfloat16

Prints a Markdown table: identical answers, PASS→FAIL and FAIL→PASS with 95% Wilson intervals, for each compute dtype
and slice, with the usual kernels and with others. Answers are kept in the user's cache; what is there is not made anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.model import Case, Slice
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.checks.registry import CheckRegistry
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import RichProgress
from pytest_quantgate.generation.run import answer
from pytest_quantgate.generation.turns import answered, next_requests
from pytest_quantgate.outcomes.grading import outcome_of_turns
from pytest_quantgate.outcomes.intervals import wilson
from pytest_quantgate.outcomes.model import Outcome
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.tokenizer import token_counter
from pytest_quantgate.variants.variant import Variant, prepare_variant, run_another_way

HEAD = ("compute dtype", "run again with", "slice", "identical answers", "PASS→FAIL", "FAIL→PASS")


@dataclass(frozen=True, slots=True)
class Asker:
    """Answers cases and grades them.

    Attributes:
        cache: Where answers are kept.
        registry: The checks by name.
    """

    cache: CompletionCache
    registry: CheckRegistry

    def ask(self, variant: Variant, cases: Sequence[Case]) -> list[tuple[tuple[Completion, ...], Outcome]]:
        """What a variant answers to each case, turn by turn, and the outcome."""
        requests = [Request.of(case) for case in cases]
        progress = RichProgress(Console(stderr=True))
        given = answer(variant, requests, self.cache, progress, partial(next_requests, cases)).completions
        turns = [answered(case, given) for case in cases]
        return [(each, outcome_of_turns(case, each, self.registry)) for case, each in zip(cases, turns, strict=True)]


def rows(variant: Variant, slices: Sequence[Slice], asker: Asker) -> Iterator[tuple[str, ...]]:
    """The cells of a variant's rows: each slice, with the usual kernels and with others."""
    cases = [case for loaded in slices for case in loaded.cases]
    first = asker.ask(variant, cases)
    for kernels in (False, True):
        second = iter(zip(first, asker.ask(run_another_way(variant, kernels=kernels), cases), strict=True))
        for loaded in slices:
            both = [next(second) for _ in loaded.cases]
            same = sum(
                [each.token_ids for each in one] == [each.token_ids for each in two] for (one, _), (two, _) in both
            )
            verdicts = [(one.passed, two.passed) for (_, one), (_, two) in both]
            scored = [pair for pair in verdicts if None not in pair]
            yield (
                variant.placement.compute_dtype,
                "other batches and kernels" if kernels else "other batches",
                f"`{loaded.name}`",
                share(same, len(both)),
                share(scored.count((True, False)), len(scored)),
                share(scored.count((False, True)), len(scored)),
            )


def share(part: int, whole: int) -> str:
    """A count of a whole, and its interval in percent."""
    interval = wilson(part, whole)
    bounds = f" ({100 * interval.low:.1f}-{100 * interval.high:.1f}%)" if interval else ""
    return f"{part} of {whole}{bounds}"


def main() -> None:
    """Measure and print, dtype by dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slice", nargs="*", default=["format", "math"], help="of the suite core (format and math)")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--spec", default="fp16")
    parser.add_argument("--dtype", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--cases", type=int, help="cases of each slice, evenly spread; all unless given")
    options = parser.parse_args()
    source = resolve_model(options.model)
    registry = builtin_registry()
    count = token_counter(source.folder)
    slices = [load_slice(path, registry, count_tokens=count) for path in suite_files("core")]
    chosen = [spread(loaded, options.cases) for loaded in slices if loaded.name in options.slice]
    print("| " + " | ".join(HEAD) + " |")
    print("| --- " * len(HEAD) + "|", flush=True)
    with CompletionCache(default_cache_path()) as cache:
        for dtype in options.dtype:
            variant = prepare_variant(options.spec, source, compute_dtype=dtype)
            for cells in rows(variant, chosen, Asker(cache, registry)):
                print("| " + " | ".join(cells) + " |", flush=True)


def spread(loaded: Slice, count: int | None) -> Slice:
    """A slice with only so many of its cases, evenly spread."""
    total = len(loaded.cases)
    if count is None or count >= total:
        return loaded
    return replace(loaded, cases=tuple(loaded.cases[index * total // count] for index in range(count)))


if __name__ == "__main__":
    main()
