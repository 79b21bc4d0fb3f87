"""The two ways in which quantization breaks a model, told apart on a small one: the paper's comparisons, made again.

    python benchmarks/two_failure_modes.py                       # 8, 4, 3 and 2 bits on SmolLM2-135M-Instruct
    python benchmarks/two_failure_modes.py --gptq                # and by GPTQ, which takes six minutes a variant
    python benchmarks/two_failure_modes.py --cases 10 nf4 int8   # fewer cases, other variants
    python benchmarks/two_failure_modes.py --own rtn:2bit        # on the cases that each variant breaks itself
    python benchmarks/two_failure_modes.py --own nf4 --repair 10 # and search for a repair, ten minutes a variant

The paper is Zhou et al., From Signal Degradation to Computation Collapse. As in its section 3.1, the facts that the
reference knows are split by one variant (``--split``): those that it gets wrong and those that it gets right, and every
variant is looked at on those very cases, so that the columns can be compared. ``--own`` looks at each variant on the
cases that it breaks itself, as a diagnosis does. Prints Markdown tables as docs/failure-modes.md has them: what each
variant still knows, the criteria of the verdict, the logit lens by layer and all other curves by quarters of the depth,
and with ``--repair`` the best repair of each variant, decoded on the cases that it breaks and keeps, and not loaded
afresh. Everything comes from the functions that a diagnosis is made by. Answers are kept in the user's cache.
"""

from __future__ import annotations

import argparse
import gc
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

from failure_tables import Found, components, criteria, dominoes, figures, grids, repairs, table, unspecified, written
from rich.console import Console

from pytest_quantgate.cases.load import load_slice
from pytest_quantgate.cases.model import Case
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis.capture import Readings, capture
from pytest_quantgate.diagnosis.causal import causal_tests
from pytest_quantgate.diagnosis.classify import classify
from pytest_quantgate.diagnosis.measure import measured
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Group, Mode, Place, Repair
from pytest_quantgate.diagnosis.next_token import end_token
from pytest_quantgate.diagnosis.points import CAUSAL_CASES, Chosen, Point, points_of
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.search import RepairLimits, search
from pytest_quantgate.generation.cache import CompletionCache, default_cache_path
from pytest_quantgate.generation.completion import Request
from pytest_quantgate.generation.progress import RichProgress
from pytest_quantgate.generation.run import answer, context_length, stops_of
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison, Outcome
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

BITS = (8, 4, 3, 2)
SPECS = (*("int8", "nf4"), *("quanto:int8", "quanto:int4", "quanto:int2"), *(f"rtn:{bits}bit" for bits in BITS))
RUINS = ("ruin:2bit", "ruin:zeroed-layer", "ruin:shuffled-head")
GPTQ = tuple(f"gptq:{bits}bit" for bits in BITS)
Choose = partial[Chosen]
"""``points_of`` for one model."""

LIMIT_TOKENS = 100_000
"""More than any choice of cases here comes to."""


class Lab:
    """One model and its cases.

    Args:
        model: As ``--quant-model`` takes it.
        cases: What is asked.
        reference: Spec of the reference.
        cache: Where answers are kept.
    """

    def __init__(self, model: str, cases: Sequence[Case], reference: str, cache: CompletionCache) -> None:
        self._source = resolve_model(model)
        self._cases = cases
        self._cache = cache
        self._progress = RichProgress(Console(stderr=True))
        self._registry = builtin_registry()
        self.bits: dict[str, float] = {}
        self.reference = reference
        self.outcomes = self.answered(reference)

    def answered(self, spec: str) -> list[Outcome]:
        """The graded answers of a variant, case by case."""
        variant = prepare_variant(spec, self._source)
        requests = [Request.of(case) for case in self._cases]
        answers = answer(variant, requests, self._cache, self._progress)
        if answers.audit is not None:
            self.bits[spec] = answers.audit.bits_per_weight
        given = [answers.completions[request.digest] for request in requests]
        return [outcome_of(case, each, self._registry) for case, each in zip(self._cases, given, strict=True)]

    def compared(self, spec: str) -> list[Comparison]:
        """The reference's outcomes beside a variant's."""
        pairs = zip(self._cases, self.outcomes, self.answered(spec), strict=True)
        return [Comparison(*each) for each in pairs]

    def loaded(self, spec: str) -> LoadedModel:
        """A variant in memory."""
        return load_variant(prepare_variant(spec, self._source))

    def repaired(
        self, loaded: tuple[LoadedModel, LoadedModel], runners: tuple[Runner, Runner],
        *, choose: Choose, here: Sequence[Point], mode: Mode, tested: Measured, limits: RepairLimits,
    ) -> Repair:  # fmt: skip
        """What a search finds for a candidate; it decodes those of the cases that the candidate breaks or keeps."""
        return search(
            *loaded,
            *runners,
            points=here,
            comparisons=self.compared(runners[1].name),
            choose=choose,
            registry=self._registry,
            mode=mode,
            measured=tested,
            limits=limits,
            told=self._progress.note,
        )


def facts(count: int) -> Sequence[Case]:
    """Cases as those of the suite ``facts``."""
    (path,) = suite_files("facts")
    text = path.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        fewer = Path(folder) / path.name
        fewer.write_text(re.sub(r"\bn: \d+", f"n: {count}", text), encoding="utf-8")
        return load_slice(fewer, builtin_registry()).cases


def points(chosen: Chosen, runner: Runner) -> tuple[Point, ...]:
    """The same places for another variant, whose own next token is the rival there."""
    tokens = [int(runner.trace(point.token_ids).logits.argmax()) for point in chosen.points]
    pairs = zip(chosen.points, tokens, strict=True)
    return tuple(replace(point, rival=None if token == point.target else token) for point, token in pairs)


def look(
    spec: str, chosen: Chosen, lab: Lab, trusted: LoadedModel, before: Readings,
    *, choose: Choose, causal: int, own: bool, limits: RepairLimits | None,
) -> Found:  # fmt: skip
    """Measure one variant."""
    loaded = lab.loaded(spec)
    reference, candidate = Runner(trusted.model, name=lab.reference), Runner(loaded.model, name=spec)
    here = chosen.points if own else points(chosen, candidate)
    with tempfile.TemporaryDirectory() as folder, capture(candidate, here, Path(folder), ignored) as after:
        numbers = measured(here, before, after)
    tested = causal_tests(reference, candidate, replace(chosen, points=here).causal[:causal], ignored)
    numbers += tested
    mode, evidence = classify(numbers.values, numbers.curves, numbers.grids)
    found = Found(spec, mode, evidence, numbers)
    if limits is None:
        return found
    both = (trusted, loaded), (reference, candidate)
    return replace(found, repair=lab.repaired(*both, choose=choose, here=here, mode=mode, tested=tested, limits=limits))


def looked(
    lab: Lab,
    specs: Sequence[str],
    split: str,
    count: int,
    causal: int,
    *,
    own: bool,
    limits: RepairLimits | None = None,
) -> Iterator[Found]:
    """Measure variant by variant; one that breaks no case is told and left out."""
    trusted = lab.loaded(lab.reference)
    reference = Runner(trusted.model, name=lab.reference)
    context = context_length(trusted.model.config.get_text_config(decoder=True))
    ending = partial(end_token, reference, stops_of(trusted))
    choose = partial(points_of, tokenizer=trusted.tokenizer, context_length=context, ending=ending)
    for breaks, those in [(spec, [spec]) for spec in specs] if own else [(split, specs)]:
        pairs = lab.compared(breaks)
        chosen = choose(pairs, limit_cases=count, limit_tokens=LIMIT_TOKENS)
        sample = chosen.sample
        print(f"\n{breaks}: {len(sample.degraded)} degraded, {len(sample.preserved)} preserved", flush=True)
        if not sample.degraded:
            continue
        with (
            tempfile.TemporaryDirectory() as folder,
            capture(reference, chosen.points, Path(folder), ignored) as before,
        ):
            for spec in those:
                yield look(spec, chosen, lab, trusted, before, choose=choose, causal=causal, own=own, limits=limits)
                gc.collect()


def ignored(_count: int) -> None:
    """Progress that nobody asked for."""


def cliff(lab: Lab, specs: Sequence[str]) -> str:
    """What each variant still knows (figure 1)."""
    known = sum(outcome.passed is True for outcome in lab.outcomes)
    rows = [[lab.reference, "-", str(known), "-", "-"]]
    for spec in specs:
        pairs = lab.compared(spec)
        kept = sum(pair.reference.passed is True and pair.candidate.passed is True for pair in pairs)
        passed = sum(pair.candidate.passed is True for pair in pairs)
        bits = written(lab.bits.get(spec))
        rows.append([spec, bits, str(passed), f"{kept} of {known}", f"{kept / known:.1%}" if known else "-"])
    return table(("variant", "bits", "passes", "keeps of the reference's", "share"), rows)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", help="variants, instead of those at 8, 4, 3 and 2 bits")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--ref", default="fp16")
    parser.add_argument("--facts", type=int, default=320, help="how many facts are asked, in three phrasings each")
    parser.add_argument("--slice", type=Path, nargs="*", default=[], help="slice files that are asked instead of facts")
    parser.add_argument("--split", default="rtn:4bit", help="the variant that splits the cases")
    parser.add_argument("--own", action="store_true", help="look at each variant on the cases that it breaks itself")
    parser.add_argument("--cases", type=int, default=40, help="most cases that are looked at, half of them degraded")
    parser.add_argument("--causal", type=int, default=CAUSAL_CASES, help="most cases of the causal tests")
    parser.add_argument("--gptq", action="store_true")
    parser.add_argument("--repair", type=float, metavar="MINUTES", help="search for a repair of each variant so long")
    given = parser.parse_args(words)
    if given.repair is not None and not given.own:
        parser.error("--repair needs --own: a variant is repaired on the cases that it breaks itself")
    limits = None if given.repair is None else RepairLimits(minutes=given.repair)
    specs = given.specs or [*SPECS, *(GPTQ if given.gptq else ()), *RUINS]
    cases = [case for file in given.slice for case in load_slice(file, builtin_registry()).cases] or facts(given.facts)
    with CompletionCache(default_cache_path()) as cache:
        lab = Lab(given.model, cases, given.ref, cache)
        print(cliff(lab, specs), flush=True)
        found = list(looked(lab, specs, given.split, given.cases, given.causal, own=given.own, limits=limits))
    print("\n\n".join(["", criteria(found), *repairs(found), *unspecified(found)]))
    print("\n\n".join(["", *dominoes(found), *components(found), *grids(found)]))
    for group, place in product(get_args(Group), get_args(Place)):
        print("\n\n".join(["", *figures(found, group, place, own=given.own)]))


if __name__ == "__main__":
    main()
