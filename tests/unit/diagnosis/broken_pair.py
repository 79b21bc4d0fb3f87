"""Two variants of a tiny model, one of them broken in known layers, for tests of the search."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Mode, Repair
from pytest_quantgate.diagnosis.next_token import end_token
from pytest_quantgate.diagnosis.points import points_of
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.search import search
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate, stops_of
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison
from pytest_quantgate.paths import CACHE_VARIABLE
from pytest_quantgate.variants.registry import describe
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant
from tests.tiny_model import CONTEXT, WORDS, build_tiny_model

SPEC = "rtn:3bit-g64"
BROKEN = ("model.layers.0.mlp.down_proj", "model.layers.1.self_attn.o_proj")
REGISTRY = builtin_registry()
TOKENS = 3


def answers(loaded: LoadedModel, cases: list[Case]) -> list[Completion]:
    found: dict[str, Completion] = {}
    requests = [Request.of(case) for case in cases]
    generate(loaded, requests, found.update, SilentProgress())
    return [found[request.digest] for request in requests]


def loaded(folder: Path, spec: str) -> LoadedModel:
    return load_variant(prepare_variant(spec, resolve_model(str(folder)), device="cpu"))


@dataclass(frozen=True)
class Pair:
    """Two variants, and the cases that they were asked: the right answer is the reference's."""

    reference: LoadedModel
    candidate: LoadedModel
    comparisons: tuple[Comparison, ...]

    def search(self, mode: Mode = Mode.DEGRADATION, *, cases: int = 40, **limits: float) -> Repair:
        ending = partial(end_token, Runner(self.reference.model), stops_of(self.reference))
        choose = partial(points_of, tokenizer=self.reference.tokenizer, context_length=CONTEXT, ending=ending)
        chosen = choose(self.comparisons, limit_cases=cases)
        assert chosen.points
        return search(
            self.reference,
            self.candidate,
            Runner(self.reference.model),
            Runner(self.candidate.model),
            points=chosen.points,
            comparisons=self.comparisons,
            choose=choose,
            registry=REGISTRY,
            mode=mode,
            measured=Measured(),
            limits=RepairLimits(**limits),
            told=lambda _: None,
        )


def pair_of(reference: LoadedModel, candidate: LoadedModel) -> Pair:
    asked = [
        Case(f"case-{number:02}", (Message("user", " ".join(WORDS[number * 5 : number * 5 + 4])),), (), TOKENS)
        for number in range(20)
    ]
    before, after = answers(reference, asked), answers(candidate, asked)
    cases = [
        replace(case, checks=(CheckSpec("exact", {"text": answer.text}),))
        for case, answer in zip(asked, before, strict=True)
    ]
    return Pair(
        reference,
        candidate,
        tuple(
            Comparison(case, outcome_of(case, one, REGISTRY), outcome_of(case, other, REGISTRY))
            for case, one, other in zip(cases, before, after, strict=True)
        ),
    )


def named(loaded: LoadedModel, spec: str, folder: Path | None = None) -> LoadedModel:
    """The same model, by another spec, whose paths are seen from a folder."""
    parsed = replace(parse_spec(spec), folder=folder)
    return replace(loaded, variant=replace(loaded.variant, spec=parsed, description=describe(parsed)))


def modules(loaded: LoadedModel) -> dict[str, int]:
    return {name: id(module) for name, module in loaded.model.named_modules()}


def broken_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The candidate says that all its layers have 3 bits, and two of them do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        folder = build_tiny_model(tmp_path_factory.mktemp("tiny"))
        reference, candidate = loaded(folder, "fp16"), loaded(folder, SPEC)
    model: Any = deepcopy(reference.model)
    for name in BROKEN:
        model.set_submodule(name, candidate.model.get_submodule(name))
    return pair_of(reference, replace(candidate, model=model))
