"""The search on a candidate that is broken in known layers: it finds these, and says why when it finds none."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.cases.model import Case, CheckSpec, Message, Turn
from pytest_quantgate.checks.builtin import builtin_registry
from pytest_quantgate.diagnosis.decoding import passes
from pytest_quantgate.diagnosis.measured import Measured
from pytest_quantgate.diagnosis.model import Mode, Repair, Stage, Trial
from pytest_quantgate.diagnosis.points import points_of
from pytest_quantgate.diagnosis.protection import RepairLimits
from pytest_quantgate.diagnosis.running import Runner
from pytest_quantgate.diagnosis.search import ranked, search
from pytest_quantgate.generation.completion import Completion, Request
from pytest_quantgate.generation.progress import SilentProgress
from pytest_quantgate.generation.run import generate
from pytest_quantgate.outcomes.grading import outcome_of
from pytest_quantgate.outcomes.model import Comparison, Transition
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

    def search(self, mode: Mode = Mode.DEGRADATION, folder: Path = Path("never"), **limits: float) -> Repair:
        chosen = points_of(self.comparisons, self.reference.tokenizer, CONTEXT)
        assert chosen.points
        return search(
            self.reference,
            self.candidate,
            Runner(self.reference.model),
            Runner(self.candidate.model),
            points=chosen.points,
            comparisons=self.comparisons,
            registry=REGISTRY,
            mode=mode,
            measured=Measured(),
            limits=RepairLimits(**limits),
            folder=folder,
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


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The candidate says that all its layers have 3 bits, and two of them do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        folder = build_tiny_model(tmp_path_factory.mktemp("tiny"))
        reference, candidate = loaded(folder, "fp16"), loaded(folder, SPEC)
    model: Any = deepcopy(reference.model)
    for name in BROKEN:
        model.set_submodule(name, candidate.model.get_submodule(name))
    return pair_of(reference, replace(candidate, model=model))


def modules(loaded: LoadedModel) -> dict[str, int]:
    return {name: id(module) for name, module in loaded.model.named_modules()}


def test_it_finds_exactly_what_is_broken_and_decodes_it(pair: Pair) -> None:
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    preserved = sum(each.transition is Transition.PRESERVED for each in pair.comparisons)
    assert degraded >= 4
    assert preserved >= 4
    before = [modules(each) for each in (pair.reference, pair.candidate)]
    found = pair.search()
    chosen = found.chosen
    assert chosen is not None
    assert set(chosen.kept) == {name.removeprefix("model.") for name in BROKEN}
    assert (chosen.stage, chosen.degraded, chosen.preserved) == ("decoded", degraded, preserved)
    assert (chosen.turned_back, chosen.lost) == (degraded, 0)
    assert chosen in ranked(found.trials)
    assert found.reason == (
        f"{degraded} of {degraded} degraded cases pass again at {chosen.bits:.2f} bits a weight, and "
        f"0 of {preserved} preserved ones fail"
    )
    assert [modules(each) for each in (pair.reference, pair.candidate)] == before
    assert (found.before.spec, found.before.bits, found.before.stage) == (SPEC, 3.5, "verified")
    assert found.before.memory_bytes == pair.candidate.audit.memory_bytes
    assert all(found.before.bits < trial.bits <= 5.5 for trial in found.trials if trial.kept)
    others = [trial.way for trial in found.trials if trial.way.endswith("(no variant does so)")]
    assert [way.partition(" by ")[0] for way in others] == [
        "most confident layer amplified",
        f"{chosen.way}, and most confident layer amplified",
        "errors compensated",
    ]
    assert {trial.stage for trial in found.trials} == {"screened", "decoded"}


def test_a_collapse_is_given_up_with_what_was_tried(pair: Pair) -> None:
    found = pair.search(Mode.COLLAPSE, max_bits=3.8)
    degraded = sum(each.transition is Transition.DEGRADED for each in pair.comparisons)
    assert found.chosen is None
    protections = [trial for trial in found.trials if trial.kept]
    assert protections
    assert all(trial.spec.startswith("mix:") and trial.stage == "screened" for trial in protections)
    best = max(trial.turned_back - trial.lost for trial in protections)
    assert 2 * best < degraded
    assert found.reason.startswith(
        f"protection does not help a collapse: the best of {len(protections)} protections within 3.8 bits a weight "
        f"turns {best} of {degraded} cases back and loses 0 of "
    )
    assert "(early layers, " in found.reason
    others = [trial for trial in found.trials if not trial.kept]
    assert [trial.way.partition(" by ")[0] for trial in others] == ["most confident layer amplified"]
    assert {trial.spec for trial in others} == {SPEC}
    assert pair.search(Mode.COLLAPSE, max_bits=3.8) == found


def test_without_room_nothing_is_tried(pair: Pair) -> None:
    found = pair.search(max_bits=3.5)
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == (
        "there is no room for protection: the candidate takes 3.50 bits a weight as it is, and 3.5 are allowed"
    )
    found = pair.search(max_bits=3.51)
    assert found.reason == "nothing could be tried within 3.51 bits a weight"
    assert not any(trial.kept for trial in found.trials)


def test_when_the_time_is_up_it_says_so(pair: Pair) -> None:
    found = pair.search(minutes=0)
    assert (found.chosen, found.trials) == (None, ())
    assert found.reason == "nothing could be tried within 5.5 bits a weight; cut short after 0 minutes"


@pytest.mark.parametrize(
    ("reference", "candidate", "reason"),
    [
        ("fp16", "stored@model.gguf", "quantized elsewhere"),
        ("fp16", "nf4+lora:adapter", "only one of the two has this adapter"),
        ("mix:*=int8", "nf4", "has no one precision above the candidate's"),
    ],
)
def test_what_cannot_be_protected_is_said(pair: Pair, reference: str, candidate: str, reason: str) -> None:
    def named(loaded: LoadedModel, spec: str) -> LoadedModel:
        parsed = parse_spec(spec)
        variant = replace(loaded.variant, spec=parsed, description=describe(parsed))
        return replace(loaded, variant=variant)

    found = replace(
        pair, reference=named(pair.reference, reference), candidate=named(pair.candidate, candidate)
    ).search()
    assert (found.chosen, found.trials) == (None, ())
    assert reason in found.reason


def test_decoded_trials_are_ranked_by_cases_and_then_by_bits() -> None:
    def trial(bits: float, turned_back: int, lost: int, stage: Stage = "decoded") -> Trial:
        return Trial("nf4", (), bits, None, turned_back, 9, lost, 9, stage, "by hand")

    trials = [trial(5.0, 4, 0), trial(4.8, 6, 2), trial(5.2, 5, 0), trial(4.9, 1, 1), trial(4.6, 9, 0, "screened")]
    assert ranked(trials) == (trials[2], trials[1], trials[0])


def test_all_turns_of_a_case_are_answered_and_a_case_without_an_answer_is_unscored(pair: Pair) -> None:
    first = pair.comparisons[0].case
    chat = replace(first, later=(Turn("bal", (CheckSpec("exact", {"text": "no such answer"}),), 2),))
    long = replace(first, id="long", messages=(Message("user", "bal " * CONTEXT),))
    found = passes(pair.reference, [first, replace(chat, id="chat"), long], REGISTRY, lambda _: None)
    assert found == {first.id: True, "chat": False, "long": None}
